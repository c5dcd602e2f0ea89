//! QMP: a task of its own talks to QEMU, so that an answer is waited for while the guest is watched.

use std::pin::Pin;

use futures_util::StreamExt;
use qapi::futures::{QapiEvents, QapiService, QmpStreamTokio};
use qapi::qmp::{self, Event};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio_util::io::{InspectReader, InspectWriter};

use super::lines::{Line, Splitter};
use super::machine::{Qmp, QmpLine};

/// A longer line is not shown. QEMU's own answers to what is asked here have a few hundred bytes.
const MAX_LINE: usize = 64 * 1024;

/// What QEMU is asked.
#[derive(Debug)]
pub(crate) enum Request {
    /// An NMI for every processor; answered with whether QEMU took it.
    InjectNmi(oneshot::Sender<bool>),
    /// The end.
    Quit,
}

/// What a command in flight is for.
enum Answer {
    Status(String),
    Nmi(oneshot::Sender<bool>, bool),
    Quit,
}

type InFlight = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Talks until QEMU hangs up. News that nobody takes are dropped with their receiver.
pub(crate) async fn talk(
    stream: UnixStream,
    news: mpsc::UnboundedSender<Qmp>,
    requests: mpsc::UnboundedReceiver<Request>,
) {
    let (read, write) = stream.into_split();
    let read = InspectReader::new(read, tee(news.clone(), false));
    let write = InspectWriter::new(write, tee(news.clone(), true));
    let Ok(negotiation) = QmpStreamTokio::open_split(read, write).await else { return };
    // A QEMU that does not answer to this is broken in a way that its exit or its silence shows.
    let Ok(stream) = negotiation.negotiate().await else { return };
    let (service, events) = stream.into_parts();
    serve(&service, events, &news, requests).await;
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
        Box::pin(async move { Answer::Status(answer.await.map_or_else(|e| e.to_string(), |s| run_state(&s))) })
    };
    // Events before the negotiation are lost: QEMU may have stopped already.
    let mut in_flight: Vec<InFlight> = vec![status()];
    let mut after_error = false;
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(event)) => {
                    after_error = false;
                    if let Event::STOP { .. } = event {
                        in_flight.insert(0, status());
                    } else if let Some(event) = known(&event)
                        && news.send(event).is_err()
                    {
                        return;
                    }
                }
                // An event that is newer than the library. The stream gives one end after an error and goes on.
                Some(Err(error)) if error.kind() == std::io::ErrorKind::InvalidData => after_error = true,
                None if after_error => after_error = false,
                Some(Err(_)) | None => return,
            },
            request = requests.recv() => match request {
                None => return,
                Some(Request::InjectNmi(done)) => {
                    let answer = service.execute(qmp::inject_nmi {});
                    in_flight.insert(0, Box::pin(async move { Answer::Nmi(done, answer.await.is_ok()) }));
                }
                Some(Request::Quit) => {
                    let answer = service.execute(qmp::quit {});
                    in_flight.insert(0, Box::pin(async move { drop(answer.await); Answer::Quit }));
                }
            },
            answer = next_answer(&mut in_flight) => match answer {
                Answer::Status(status) => {
                    if status != "running" && news.send(Qmp::Stopped { status }).is_err() {
                        return;
                    }
                }
                // Who asked may have gone.
                Answer::Nmi(done, taken) => drop(done.send(taken)),
                // QEMU hangs up next.
                Answer::Quit => {}
            },
        }
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

fn run_state(status: &qmp::StatusInfo) -> String {
    name(&status.status)
}

/// QMP's own name of an enumeration's value.
fn name(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => "unknown".to_owned(),
    }
}

fn tee(news: mpsc::UnboundedSender<Qmp>, sent: bool) -> impl FnMut(&[u8]) + Send {
    let mut splitter = Splitter::new(MAX_LINE);
    move |bytes| {
        splitter.push(bytes, |line| {
            let (Line::Whole(line) | Line::TooLong(line)) = line;
            let json = String::from_utf8_lossy(line).trim_end().to_owned();
            // Nobody listens any more: the machine is being dropped.
            drop(news.send(Qmp::Line(QmpLine { sent, json })));
        });
    }
}
