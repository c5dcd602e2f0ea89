//! QMP: a task of its own talks to QEMU, so that an answer is waited for while the guest is watched.

use std::pin::Pin;

use futures_util::StreamExt;
use qapi::futures::{QapiEvents, QapiService, QmpStreamTokio};
use qapi::qmp::{self, Event};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio_util::io::InspectWriter;

use super::halt::is_halted;
use super::lines::{BoundedLine, Splitter};
use super::machine::{Qmp, QmpLine};

/// A longer line is dropped. QEMU's own answers to what is asked here have a few hundred bytes.
const MAX_LINE: usize = 64 * 1024;

/// A request to QEMU.
#[derive(Debug)]
pub(crate) enum Request {
    /// An NMI for every processor; answered with whether QEMU took it.
    InjectNmi(oneshot::Sender<bool>),
    /// Whether the processor is halted with interrupts off.
    IsHalted(oneshot::Sender<bool>),
    /// The end.
    Quit,
}

/// The purpose of a command in flight.
enum Answer {
    /// Nothing if QEMU did not answer.
    Status(Result<String, ()>),
    Told(oneshot::Sender<bool>, bool),
    Quit,
}

type InFlight = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Talks until QEMU hangs up. News without a receiver are dropped.
pub(crate) async fn talk(
    stream: UnixStream,
    news: mpsc::UnboundedSender<Qmp>,
    requests: mpsc::UnboundedReceiver<Request>,
) {
    let (read, write) = stream.into_split();
    let (known, read_known) = tokio::io::duplex(MAX_LINE);
    let write = InspectWriter::new(write, tee(news.clone()));
    let library = async {
        let Ok(negotiation) = QmpStreamTokio::open_split(read_known, write).await else { return };
        // A QEMU that does not answer to this is broken in a way that its exit or its silence shows.
        let Ok(stream) = negotiation.negotiate().await else { return };
        let (service, events) = stream.into_parts();
        serve(&service, events, &news, requests).await;
    };
    tokio::join!(sift(read, known, &news), library);
}

/// Shows every line of QEMU, and passes on those that the library understands: it loses its place at an event that
/// is newer than itself. Ends with QEMU, or when the library has gone.
async fn sift(mut from: impl AsyncRead + Unpin, mut to: DuplexStream, news: &mpsc::UnboundedSender<Qmp>) {
    let mut splitter = Splitter::new(MAX_LINE);
    let mut buffer = [0; 4096];
    let mut greeted = false;
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        let mut known = Vec::new();
        splitter.push(&buffer[..n], |line| {
            let BoundedLine::Whole(line) = line else { return };
            show(news, false, line);
            if !greeted || serde_json::from_slice::<qmp::QmpMessageAny>(line).is_ok() {
                known.extend_from_slice(line);
                known.push(b'\n');
            }
            greeted = true;
        });
        if to.write_all(&known).await.is_err() {
            return;
        }
    }
}

async fn serve<R, W>(
    service: &QapiService<QmpStreamTokio<W>>,
    mut events: QapiEvents<QmpStreamTokio<R>>,
    news: &mpsc::UnboundedSender<Qmp>,
    mut requests: mpsc::UnboundedReceiver<Request>,
) where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let status = || -> InFlight {
        let answer = service.execute(qmp::query_status {});
        Box::pin(async move { Answer::Status(answer.await.map(|s| name(&s.status)).map_err(drop)) })
    };
    // Events before the negotiation are lost: QEMU may have stopped already.
    let mut in_flight: Vec<InFlight> = vec![status()];
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(event)) => {
                    if let Event::STOP { .. } = event {
                        in_flight.insert(0, status());
                    } else if let Some(event) = known(&event)
                        && news.send(event).is_err()
                    {
                        return;
                    }
                }
                // QEMU has hung up. Earlier answers still count.
                Some(Err(_)) | None => break,
            },
            request = requests.recv() => match request {
                None => return,
                Some(Request::InjectNmi(done)) => {
                    let answer = service.execute(qmp::inject_nmi {});
                    in_flight.insert(0, Box::pin(async move { Answer::Told(done, answer.await.is_ok()) }));
                }
                Some(Request::IsHalted(done)) => {
                    let command_line = "info registers -a".to_owned();
                    let answer = service.execute(qmp::human_monitor_command { command_line, cpu_index: None });
                    let halted = async move { answer.await.is_ok_and(|registers| is_halted(&registers)) };
                    in_flight.insert(0, Box::pin(async move { Answer::Told(done, halted.await) }));
                }
                Some(Request::Quit) => {
                    let answer = service.execute(qmp::quit {});
                    in_flight.insert(0, Box::pin(async move { drop(answer.await); Answer::Quit }));
                }
            },
            answer = next_answer(&mut in_flight) => take(answer, news),
        }
    }
    // No answer comes any more, so that none of these waits.
    drop(events);
    while !in_flight.is_empty() {
        take(next_answer(&mut in_flight).await, news);
    }
}

/// Passes an answer on. Its receiver may be gone.
fn take(answer: Answer, news: &mpsc::UnboundedSender<Qmp>) {
    match answer {
        Answer::Status(Ok(status)) if status == "running" => {}
        Answer::Status(Ok(status)) => drop(news.send(Qmp::Stopped { status })),
        Answer::Told(done, told) => drop(done.send(told)),
        // QEMU has hung up, or does so next.
        Answer::Status(Err(())) | Answer::Quit => {}
    }
}

/// The answer to the oldest command: QEMU answers in order, and the library holds its lock until then.
async fn next_answer(in_flight: &mut Vec<InFlight>) -> Answer {
    let Some(last) = in_flight.last_mut() else { return std::future::pending().await };
    let answer = last.await;
    in_flight.pop();
    answer
}

fn known(event: &Event) -> Option<Qmp> {
    match event {
        Event::SHUTDOWN { data, .. } => Some(Qmp::Shutdown { reason: name(&data.reason) }),
        Event::GUEST_PANICKED { .. } => Some(Qmp::GuestPanicked),
        _ => None,
    }
}

/// QMP's own name of an enumeration's value.
fn name(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => "unknown".to_owned(),
    }
}

fn show(news: &mpsc::UnboundedSender<Qmp>, sent: bool, line: &[u8]) {
    let json = String::from_utf8_lossy(line).trim_end().to_owned();
    // Nobody listens any more: the machine is being dropped.
    drop(news.send(Qmp::Line(QmpLine { sent, json })));
}

fn tee(news: mpsc::UnboundedSender<Qmp>) -> impl FnMut(&[u8]) + Send {
    let mut splitter = Splitter::new(MAX_LINE);
    move |bytes| {
        splitter.push(bytes, |line| {
            let (BoundedLine::Whole(line) | BoundedLine::TooLong(line)) = line;
            show(&news, true, line);
        });
    }
}

#[cfg(test)]
#[path = "qmp_tests.rs"]
mod tests;
