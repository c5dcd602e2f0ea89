//! An HTTP server on loopback that does exactly what a test says, even what no server should, and records its requests.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A request: the path, and the headers with lowercase names.
#[derive(Clone, Debug)]
pub struct Request {
    pub path: String,
    pub headers: Vec<(String, String)>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The start of the requested range.
    fn from(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// How one request is answered.
#[derive(Clone, Debug)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// A wrong promised length, if set; `Some(None)` promises none.
    length: Option<Option<usize>>,
    /// The number of bytes of the body to send.
    sent: Option<usize>,
    then: Then,
    /// Whether it answers conditions and ranges as RFC 9110 says, by its own ETag and Last-Modified.
    honest: bool,
    /// Bytes at a time, with a pause after each.
    pieces: Option<(usize, Duration)>,
}

/// The end of an answer, after the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Close,
    /// Nothing, until the client gives up.
    Hold,
    /// The body again and again.
    Repeat,
}

impl Answer {
    /// 200 with this body.
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::status(200).body(body)
    }

    pub fn status(status: u16) -> Self {
        let (headers, body) = (Vec::new(), Vec::new());
        Self { status, headers, body, length: None, sent: None, then: Then::Close, honest: false, pieces: None }
    }

    /// A file on an honest server, with ranges, conditions and an entity tag.
    pub fn file(body: impl Into<Vec<u8>>, etag: &str) -> Self {
        Self { honest: true, ..Self::ok(body) }.header("ETag", etag).header("Accept-Ranges", "bytes")
    }

    pub fn redirect(to: &str) -> Self {
        Self::status(302).header("Location", to)
    }

    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Promises this length, even if it is wrong.
    pub fn promising(self, length: usize) -> Self {
        Self { length: Some(Some(length)), ..self }
    }

    /// Promises no length.
    pub fn promising_nothing(self) -> Self {
        Self { length: Some(None), ..self }
    }

    /// Closes the connection after so many bytes of the body.
    pub fn cut_after(self, bytes: usize) -> Self {
        Self { sent: Some(bytes), ..self }
    }

    /// Sends nothing more after so many bytes of the body, and keeps the connection.
    pub fn stall_after(self, bytes: usize) -> Self {
        Self { sent: Some(bytes), then: Then::Hold, ..self }
    }

    /// Never ends.
    pub fn endless(self) -> Self {
        Self { then: Then::Repeat, ..self }.promising_nothing()
    }

    /// So many bytes at a time, with a pause after each.
    pub fn slowly(self, bytes: usize, pause: Duration) -> Self {
        Self { pieces: Some((bytes, pause)), ..self }
    }

    /// An honest server's answer to this request.
    fn to(&self, request: &Request) -> Self {
        if !self.honest {
            return self.clone();
        }
        let own = |name: &str| self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        let (etag, modified) = (own("ETag"), own("Last-Modified"));
        let asked = |name| request.header(name).filter(|value| Some(*value) == etag || Some(*value) == modified);
        if asked("if-none-match").or(asked("if-modified-since")).is_some() {
            return Self { status: 304, ..self.clone() }.body("");
        }
        let from = request.from().filter(|_| request.header("if-range").is_none() || asked("if-range").is_some());
        match (from, self.body.len()) {
            (None, _) => self.clone(),
            (Some(from), length) if from >= length => {
                Self::status(416).header("Content-Range", &format!("bytes */{length}"))
            }
            (Some(from), length) => {
                let range = format!("bytes {from}-{}/{length}", length - 1);
                let part = Self { status: 206, body: self.body[from..].to_vec(), ..self.clone() };
                part.header("Content-Range", &range)
            }
        }
    }

    fn write(&self, to: &mut impl Conversation) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {} x\r\nConnection: close\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        match self.length {
            None => head += &format!("Content-Length: {}\r\n", self.body.len()),
            Some(Some(length)) => head += &format!("Content-Length: {length}\r\n"),
            Some(None) => {}
        }
        to.write_all((head + "\r\n").as_bytes())?;
        let sent = &self.body[..self.sent.unwrap_or(self.body.len()).min(self.body.len())];
        let (size, pause) = self.pieces.unwrap_or((sent.len().max(1), Duration::ZERO));
        for piece in sent.chunks(size) {
            to.write_all(piece)?;
            to.flush()?;
            thread::sleep(pause);
        }
        match self.then {
            Then::Close => Ok(()),
            Then::Hold => to.read(&mut [0; 1]).map(drop),
            Then::Repeat => loop {
                to.write_all(&self.body)?;
            },
        }
    }
}

/// A connection, plain or through TLS.
trait Conversation: Read + Write {}

impl<T: Read + Write> Conversation for T {}

type Script = HashMap<String, Vec<Answer>>;

/// The server. It ends when this is dropped.
pub struct Server {
    address: SocketAddr,
    scheme: &'static str,
    script: Arc<Mutex<Script>>,
    requests: Arc<Mutex<Vec<Request>>>,
    over: Arc<AtomicBool>,
}

impl Server {
    /// With nothing on it: every path is a 404.
    pub fn new() -> Self {
        Self::listening("http", None)
    }

    /// Speaks TLS, with this identity.
    pub fn with_tls(identity: Arc<rustls::ServerConfig>) -> Self {
        Self::listening("https", Some(identity))
    }

    fn listening(scheme: &'static str, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of loopback");
        let address = listener.local_addr().expect("its address");
        let (script, requests, over) = (Arc::default(), Arc::default(), Arc::new(AtomicBool::new(false)));
        let server = Self { address, scheme, script, requests, over };
        let (script, requests, over) =
            (Arc::clone(&server.script), Arc::clone(&server.requests), Arc::clone(&server.over));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let (script, requests, tls) = (Arc::clone(&script), Arc::clone(&requests), tls.clone());
                thread::spawn(move || {
                    // Some tests close the connection early.
                    let _ = stream.and_then(|stream| match tls {
                        None => serve(stream, &script, &requests),
                        Some(tls) => {
                            let tls = rustls::ServerConnection::new(tls).map_err(io::Error::other)?;
                            serve(rustls::StreamOwned::new(tls, stream), &script, &requests)
                        }
                    });
                });
            }
        });
        server
    }

    /// Gives these answers to requests for this path, one after another; the last answer stays.
    pub fn on(&self, path: &str, answers: impl IntoIterator<Item = Answer>) -> String {
        let mut answers: Vec<Answer> = answers.into_iter().collect();
        answers.reverse();
        self.script.lock().expect("the script").insert(path.to_owned(), answers);
        self.at(path)
    }

    /// A path's address.
    pub fn at(&self, path: &str) -> String {
        let host = if self.scheme == "https" { "localhost" } else { "127.0.0.1" };
        format!("{}://{host}:{}{path}", self.scheme, self.address.port())
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("the requests").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(mut stream: impl Conversation, script: &Mutex<Script>, requests: &Mutex<Vec<Request>>) -> io::Result<()> {
    let request = read(&mut stream)?;
    let answer = {
        let mut script = script.lock().expect("the script");
        match script.get_mut(&request.path) {
            Some(answers) if answers.len() > 1 => answers.pop(),
            Some(answers) => answers.last().cloned(),
            None => None,
        }
    };
    let answer = answer.unwrap_or_else(|| Answer::status(404)).to(&request);
    requests.lock().expect("the requests").push(request);
    answer.write(&mut stream)?;
    stream.flush()
}

fn read(stream: &mut impl Read) -> io::Result<Request> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && head.len() < 64 << 10 {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head);
    let mut lines = text.lines();
    let path = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    Ok(Request { path, headers })
}
