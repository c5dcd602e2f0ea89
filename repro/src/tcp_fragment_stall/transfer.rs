//! Transfers over real connections: a server sends bulk data with a small send buffer over a lossy link, with real
//! sockets on both ends.
//!
//! They are for people, in addition to the recipes. The lost packets are fixed, but which of them the kernel must split
//! depends on its congestion control, and so on its version.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::loss::Loss;
use super::trace::ConnectionTrace;
use super::transfer_judge::{TIMEOUTS, TransferCourse, TransferObservation, TransferSilence};
use crate::reproducer::{Context, ms};
use crate::sut::client::Client;
use crate::sut::counters;
use crate::sut::socket::{Buffers, Connection, Listener};
use crate::wire::between::{Between, Fate, Way};
use crate::wire::{Tried as _, WireError};
use backproof_protocol::Segment;

/// The link's one-way delay.
const DELAY: Duration = Duration::from_millis(10);

/// Bytes that the server sends.
pub const BYTES: u64 = 256 * 1024;

/// The most packets with data that may get lost: those of the transfer, without the repetitions after a long loss.
const LOSSY: u32 = 250;

/// The time limit. A good kernel needs a second, and a silent one is recognised after three timeouts.
const LIMIT: Duration = Duration::from_secs(8);

/// After this long without a packet, the connection's state is checked.
const LOOK: Duration = Duration::from_millis(50);

/// The shortest retransmission timeout (`TCP_RTO_MIN`, include/net/tcp.h).
const RTO_MIN: Duration = Duration::from_millis(200);

/// The way in which the server's application sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// write(2).
    Write,
    /// sendfile(2), from a file in memory.
    Sendfile,
}

/// One transfer.
#[derive(Clone, Copy, Debug)]
pub struct Transfer {
    /// Its name in the report.
    pub name: &'static str,
    /// The system call that the application sends with.
    pub by: By,
    /// `SO_SNDBUF` in bytes, which the kernel doubles.
    pub send_buffer: u32,
    /// Determines which packets get lost.
    pub seed: u64,
}

/// The transfers.
pub const TRANSFERS: [Transfer; 3] = [
    Transfer { name: "write", by: By::Write, send_buffer: 4096, seed: 1 },
    Transfer { name: "sendfile", by: By::Sendfile, send_buffer: 4096, seed: 1 },
    // A medium buffer, as in the recipe of the same size.
    Transfer { name: "write sndbuf=15000", by: By::Write, send_buffer: 15000, seed: 1 },
];

impl Transfer {
    /// Carries the transfer out; returns the observation, and the time line up to its end.
    pub fn perform(&self, context: &Context, net: u8) -> (Result<TransferObservation, WireError>, Vec<Segment>) {
        let mut line = ConnectionTrace::default();
        let seen = self.try_perform(context, net, &mut line);
        (seen, line.into_segments())
    }

    fn try_perform(
        &self,
        context: &Context,
        net: u8,
        line: &mut ConnectionTrace,
    ) -> Result<TransferObservation, WireError> {
        let too_big_before = counters::tcp_ext("TCPWqueueTooBig");
        let (between, client) = Between::new(net, DELAY, Client::new)?;
        let server = SocketAddr::new(between.server(), 80);
        let listener = Listener::new(server, Some(Buffers { send: self.send_buffer, receive: 8192 }))?;
        context.waiting(self.name, "the handshake");
        client.connect(server)?;
        let loss = Loss::new(self.seed, LOSSY);
        let mut scene = Scene { between, client, loss, line, received: 0, started: Instant::now() };
        let connection = scene.handshake(&listener)?;
        context.waiting(self.name, "the end of the transfer, or three timeouts in silence");
        let mut source = Source::new(self.by)?;
        let course = scene.watch(&connection, &mut source)?;
        Ok(TransferObservation {
            seed: self.seed,
            memory: connection.memory()?,
            info: connection.tcp_info()?,
            gso: scene.between.gso(),
            written: source.written,
            received: scene.received,
            lost: scene.line.lost(),
            again: scene.line.again(),
            too_big_before,
            too_big_after: counters::tcp_ext("TCPWqueueTooBig"),
            course,
        })
    }
}

/// The data that the server's application sends.
struct Source {
    file: Option<OwnedFd>,
    data: Vec<u8>,
    written: u64,
}

impl Source {
    fn new(by: By) -> Result<Self, WireError> {
        let data = vec![0x55; BYTES as usize];
        if by == By::Write {
            return Ok(Self { file: None, data, written: 0 });
        }
        let file = memfd_create("bulk", MemfdFlags::CLOEXEC).tried("creating a file in memory")?;
        let length = rustix::io::write(&file, &data).tried("writing to a file in memory")?;
        if length != data.len() {
            return Err(WireError::Unexpected(format!("a file in memory took {length} of {} bytes", data.len())));
        }
        Ok(Self { file: Some(file), data: Vec::new(), written: 0 })
    }

    /// Sends as much as fits into the send buffer.
    fn send(&mut self, connection: &Connection) -> Result<(), WireError> {
        while self.written < BYTES {
            let sent = match &self.file {
                Some(file) => connection.send_file(file, self.written, (BYTES - self.written) as usize)?,
                None => connection.write(&self.data[self.written as usize..])?,
            };
            let Some(sent) = sent else { break };
            self.written += sent as u64;
        }
        Ok(())
    }
}

struct Scene<'a> {
    between: Between,
    client: Client,
    loss: Loss,
    line: &'a mut ConnectionTrace,
    received: u64,
    started: Instant,
}

impl Scene<'_> {
    fn handshake(&mut self, listener: &Listener) -> Result<Connection, WireError> {
        while !listener.has_connection()? {
            self.carry()?;
            let mut ready = vec![PollFd::new(listener, PollFlags::IN)];
            self.between.wait(&mut ready, self.started + LIMIT)?;
            if self.started.elapsed() > LIMIT {
                return Err(WireError::TimedOut { what: "the handshake".to_owned(), after: LIMIT });
            }
        }
        listener.accept()
    }

    /// Carries packets. The link loses only packets with data.
    fn carry(&mut self) -> Result<(), WireError> {
        let (line, loss) = (&mut *self.line, &mut self.loss);
        self.between.carry(|way, packet| {
            let lost = way == Way::ToClient && line.has_data(packet) && loss.loses();
            line.note(way, packet, lost);
            if lost { Fate::Lose } else { Fate::Pass }
        })
    }

    /// Lets the server send and the client read until everything has arrived, or the server has gone silent.
    fn watch(&mut self, connection: &Connection, source: &mut Source) -> Result<TransferCourse, WireError> {
        let deadline = Instant::now() + LIMIT;
        // When the client last got what it waited for, or the server last sent that; and the timeout's doublings then.
        let (mut since, mut doublings) = (Instant::now(), 0);
        let mut number = self.line.waiting().number;
        loop {
            source.send(connection)?;
            self.carry()?;
            self.read()?;
            if self.received >= BYTES {
                return Ok(TransferCourse::Finished { after_ms: ms(self.started.elapsed()) });
            }
            let now = Instant::now();
            if self.line.waiting().number != number {
                number = self.line.waiting().number;
                (since, doublings) = (now, connection.tcp_info()?.backoff);
            }
            let quiet = now - since;
            if quiet >= RTO_MIN * u32::from(TIMEOUTS) {
                let info = connection.tcp_info()?;
                let timeouts = info.backoff.saturating_sub(doublings);
                // If nothing is in flight, no retransmission timer runs, and new data should have been sent immediately.
                let nothing_in_flight = info.unacked == 0 && quiet >= RTO_MIN * 7;
                if timeouts >= TIMEOUTS || nothing_in_flight {
                    return self.prove(connection, quiet, timeouts);
                }
            }
            if now >= deadline {
                return Ok(TransferCourse::Undecided { after_ms: ms(self.started.elapsed()) });
            }
            let mut ready = vec![PollFd::new(&self.client, PollFlags::IN)];
            if source.written < BYTES {
                ready.push(PollFd::new(connection, PollFlags::OUT));
            }
            self.between.wait(&mut ready, (now + LOOK).min(deadline))?;
        }
    }

    /// Proves that the wire works although the connection is silent: the client's application sends a byte, which the
    /// server's kernel has to acknowledge.
    fn prove(&mut self, connection: &Connection, quiet: Duration, timeouts: u8) -> Result<TransferCourse, WireError> {
        let waiting = self.line.waiting();
        let segments = self.line.server_segments();
        let rto = Duration::from_micros(connection.tcp_info()?.rto_us.into());
        self.client.write(b"?")?;
        let asked = Instant::now();
        // Long enough for an answer, and for data that an acknowledgement could release.
        let deadline = asked + RTO_MIN * 2;
        while Instant::now() < deadline && self.line.waiting().number == waiting.number {
            self.carry()?;
            self.between.wait(&mut Vec::new(), deadline)?;
        }
        Ok(TransferCourse::Silent(TransferSilence {
            quiet_ms: ms(quiet + asked.elapsed()),
            timeouts,
            rto_ms: ms(rto),
            dup_acks: waiting.dup_acks,
            other_data: waiting.other_data,
            answered: self.line.server_segments() > segments,
            resumed: self.line.waiting().number != waiting.number,
        }))
    }

    fn read(&mut self) -> Result<(), WireError> {
        let mut buffer = [0; 16384];
        loop {
            match recv(&self.client, &mut buffer, RecvFlags::empty()) {
                Ok((_, 0)) => return Err(WireError::Unexpected("the server closed the connection".to_owned())),
                Ok((_, count)) => self.received += count as u64,
                Err(Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(error).tried("reading at the client"),
            }
        }
    }
}
