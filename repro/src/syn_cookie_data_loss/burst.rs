//! A burst of real connections: hundreds of clients connect to a TCPStore server at the same time, with real sockets on
//! both ends. The wire loses nothing; only the kernel's queues drop packets.
//!
//! All SYNs arrive together. As long as the SYN queue has room they get ordinary answers, then cookies. When the ACKs
//! and the first bytes arrive, the kernel drops them if the accept queue is full. The server accepts one connection
//! after another, so a dropped client's next packet is accepted. That is its second write, because a tail-loss probe
//! repeats what was sent last (RFC 8985, section 7).

use std::collections::BTreeMap;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{RecvFlags, recv};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::MESSAGE;
use super::flood::{ClientOutcome, Counters, FloodObservation};
use super::store::{self, Reading};
use crate::reproducer::{Context, ms};
use crate::sut::client::Client;
use crate::sut::counters::Snapshot;
use crate::sut::kmsg::Log;
use crate::sut::socket::{Connection, Listener};
use crate::sut::sysctl;
use crate::wire::between::{Between, Fate, Way};
use crate::wire::glance::Glance;
use crate::wire::{Tried as _, WireError};

/// Caps the listen backlog, and so the accept queue and the SYN queue of an application that asks for the maximum.
pub const SOMAXCONN: &str = "net.core.somaxconn";

/// The wire's one-way delay. Packets that the clients send together arrive together.
const DELAY: Duration = Duration::from_millis(10);

/// The interval at which the server accepts connections.
const PACE: Duration = Duration::from_millis(1);

/// The time limit after a client has lost data, because the other outcomes no longer matter.
const ENOUGH: Duration = Duration::from_millis(1500);

/// The time limit. Dropped SYNs are sent again after 1 s and 3 s, and data after its timeout, which doubles.
const LIMIT: Duration = Duration::from_secs(10);

/// The server's port, as in the original report.
const PORT: u16 = 3400;

/// The answer to an ADD: the new value, in 8 bytes.
const ANSWER: [u8; 8] = 1_u64.to_le_bytes();

/// Bit in an event's data that marks a server's connection.
const SERVERS: u64 = 1 << 32;

/// SYN and ACK among the flags of a TCP header (RFC 9293, section 3.1).
const SYN_ACK: u8 = 0x12;

/// One burst of clients.
#[derive(Clone, Debug)]
pub struct Burst {
    /// Its name in the report.
    pub name: String,
    /// The number of clients that connect at the same time.
    pub clients: u16,
    /// Sysctls of the server's namespace. The profile overrides them.
    pub settings: Vec<(&'static str, String)>,
    /// Whether it ends when all SYNs have been answered.
    pub syns_only: bool,
}

impl Burst {
    /// Carries the burst out in the calling thread's network namespace.
    ///
    /// # Errors If the kernel or the wire fails.
    pub fn perform(&self, context: &Context, net: u8) -> Result<FloodObservation, WireError> {
        for (name, value) in self.settings.iter().filter(|(name, _)| !context.profile.contains_key(*name)) {
            let named = |error: io::Error| io::Error::new(error.kind(), format!("{name}={value}: {error}"));
            sysctl::write(name, value).map_err(named).tried("setting the burst's sysctls")?;
        }
        let somaxconn = sysctl::read(SOMAXCONN).ok().and_then(|value| value.parse().ok());
        raise_file_limit(2 * u64::from(self.clients) + 100)?;
        let mut log = Log::from_now();
        context.waiting(&self.name, "the clients' sockets");
        let make_clients = || (0..self.clients).map(|_| Client::new()).collect::<Result<Vec<_>, _>>();
        let (between, clients) = Between::new(net, DELAY, make_clients)?;
        let server = SocketAddr::new(between.server(), PORT);
        let listener = Listener::with_backlog(server, None, i32::MAX)?;
        let before = Snapshot::take();
        let started = Instant::now();
        let mut scene = Scene {
            epoll: epoll::create(CreateFlags::CLOEXEC).tried("creating an epoll")?,
            between,
            listener,
            clients: Vec::with_capacity(clients.len()),
            servers: Vec::new(),
            by_port: BTreeMap::new(),
            answered_syns: 0,
            settled: 0,
            lost: false,
            next_accept: started,
        };
        context.waiting(&self.name, "the clients' answers");
        scene.connect(clients, server)?;
        while !scene.finished(self.syns_only, started.elapsed()) {
            scene.turn(started)?;
        }
        let after = Snapshot::take();
        let counters = Counters::between(&before, &after);
        // If no cookie was sent, the line is about another job's server.
        let flooded = counters.sent.is_none_or(|sent| sent > 0);
        let line = log.as_mut().filter(|_| flooded).and_then(|log| log.find("SYN flooding on port"));
        Ok(FloodObservation {
            somaxconn,
            answered_syns: scene.answered_syns,
            outcomes: scene.clients.into_iter().map(|c| c.outcome).collect(),
            counters,
            log: line,
            took_ms: ms(started.elapsed()),
        })
    }
}

/// Two sockets for each client exceed the default limit of 1024 open files.
fn raise_file_limit(files: u64) -> Result<(), WireError> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= files) {
        return Ok(());
    }
    let maximum = maximum.map(|maximum| maximum.max(files));
    setrlimit(Resource::Nofile, Rlimit { current: Some(files), maximum }).tried("raising RLIMIT_NOFILE")
}

struct ClientSide {
    socket: Client,
    connected: bool,
    outcome: ClientOutcome,
}

struct ServerSide {
    connection: Option<Connection>,
    client: usize,
    stream: Vec<u8>,
}

struct Scene {
    epoll: OwnedFd,
    between: Between,
    listener: Listener,
    clients: Vec<ClientSide>,
    servers: Vec<ServerSide>,
    by_port: BTreeMap<u16, usize>,
    answered_syns: usize,
    settled: usize,
    lost: bool,
    next_accept: Instant,
}

impl Scene {
    fn connect(&mut self, clients: Vec<Client>, server: SocketAddr) -> Result<(), WireError> {
        let events = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
        for (number, socket) in clients.into_iter().enumerate() {
            socket.connect(server)?;
            self.by_port.insert(socket.port()?, number);
            epoll::add(&self.epoll, &socket, EventData::new_u64(number as u64), events).tried("watching a socket")?;
            self.clients.push(ClientSide { socket, connected: false, outcome: ClientOutcome::Waiting });
        }
        Ok(())
    }

    fn finished(&self, syns_only: bool, after: Duration) -> bool {
        let all = self.clients.len();
        let done = if syns_only { self.answered_syns >= all } else { self.settled >= all };
        done || after >= LIMIT || (after >= ENOUGH && self.lost)
    }

    /// Carries packets, accepts a connection if one is due, and lets the applications read and write.
    fn turn(&mut self, started: Instant) -> Result<(), WireError> {
        let answered = &mut self.answered_syns;
        self.between.carry(|way, packet| {
            *answered += usize::from(way == Way::ToClient && Glance::at(packet).is_some_and(|g| g.flags == SYN_ACK));
            Fate::Pass
        })?;
        let now = Instant::now();
        let may_accept = now >= self.next_accept;
        if may_accept && self.listener.has_connection()? {
            self.next_accept = now + PACE;
            self.accept()?;
        }
        let deadline = started + if self.lost { ENOUGH } else { LIMIT };
        let mut buffer = [const { MaybeUninit::uninit() }; 64];
        let no_wait = Timespec { tv_sec: 0, tv_nsec: 0 };
        let (ready, _) = epoll::wait(&self.epoll, &mut buffer, Some(&no_wait)).tried("waiting for sockets")?;
        let ready: Vec<(u64, EventFlags)> = ready.iter().map(|e| (e.data.u64(), e.flags)).collect();
        for &(data, flags) in &ready {
            match data.checked_sub(SERVERS) {
                Some(number) => self.serve(number as usize)?,
                None => self.ask(data as usize, flags)?,
            }
        }
        if ready.is_empty() {
            let mut others = vec![PollFd::new(&self.epoll, PollFlags::IN)];
            let until = if Instant::now() >= self.next_accept {
                others.push(PollFd::new(&self.listener, PollFlags::IN));
                deadline
            } else {
                self.next_accept
            };
            self.between.wait(&mut others, until)?;
        }
        Ok(())
    }

    fn accept(&mut self) -> Result<(), WireError> {
        let connection = self.listener.accept()?;
        // The client got an RST and is gone already.
        let Ok(port) = connection.peer_port() else { return Ok(()) };
        let Some(&client) = self.by_port.get(&port) else {
            return Err(WireError::Unexpected(format!("an unexpected connection from port {port}")));
        };
        let number = self.servers.len();
        let events = EventFlags::IN | EventFlags::ET;
        let data = EventData::new_u64(SERVERS + number as u64);
        epoll::add(&self.epoll, &connection, data, events).tried("watching a socket")?;
        self.servers.push(ServerSide { connection: Some(connection), client, stream: Vec::new() });
        // Most clients have sent their query already.
        self.serve(number)
    }

    /// The server reads available data, and answers a query or closes the connection.
    fn serve(&mut self, number: usize) -> Result<(), WireError> {
        let Some(ServerSide { connection: slot, client, stream }) = self.servers.get_mut(number) else { return Ok(()) };
        let Some(connection) = slot else { return Ok(()) };
        let mut buffer = [0; 256];
        while stream.len() <= MESSAGE.len() {
            match connection.read(&mut buffer) {
                Ok(Some(0)) | Err(_) => {
                    *slot = None;
                    return Ok(());
                }
                Ok(Some(count)) => stream.extend(&buffer[..count]),
                Ok(None) => break,
            }
        }
        match store::read(stream) {
            Reading::More => {}
            // If the write fails, the client has no answer and counts as waiting.
            Reading::Add { .. } => _ = connection.write(&ANSWER),
            Reading::Other { .. } => {
                let outcome = ClientOutcome::of_stream(stream);
                *slot = None;
                let client = *client;
                self.settle(client, outcome);
            }
        }
        Ok(())
    }

    /// A client sends its query once it is connected, in two writes as PyTorch does, and reads the answer.
    fn ask(&mut self, number: usize, flags: EventFlags) -> Result<(), WireError> {
        let Some(client) = self.clients.get_mut(number) else { return Ok(()) };
        if client.outcome != ClientOutcome::Waiting {
            return Ok(());
        }
        if let Some(error) = client.socket.error()? {
            self.settle(number, ClientOutcome::Told { errno: error.raw_os_error() });
            return Ok(());
        }
        if !client.connected && flags.contains(EventFlags::OUT) {
            client.connected = true;
            client.socket.write(&MESSAGE[..1])?;
            client.socket.write(&MESSAGE[1..])?;
        }
        if flags.contains(EventFlags::IN) {
            let mut buffer = [0; 16];
            match recv(&client.socket, &mut buffer, RecvFlags::empty()) {
                Ok((_, count)) if buffer.get(..count) == Some(&ANSWER) => self.settle(number, ClientOutcome::Served),
                // The server has closed the connection. The data that it read is the reason.
                Ok(_) | Err(rustix::io::Errno::AGAIN) => {}
                Err(error) => self.settle(number, ClientOutcome::Told { errno: error.raw_os_error() }),
            }
        }
        Ok(())
    }

    fn settle(&mut self, client: usize, outcome: ClientOutcome) {
        if let Some(client) = self.clients.get_mut(client) {
            self.settled += usize::from(client.outcome == ClientOutcome::Waiting);
            self.lost |= matches!(outcome, ClientOutcome::Lost { .. });
            client.outcome = outcome;
        }
    }
}
