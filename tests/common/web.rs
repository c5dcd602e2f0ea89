//! A web server on loopback that gives what it was given, and 404 for all else.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// The server; it ends when this is dropped.
pub struct Web {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    files: HashMap<String, Vec<u8>>,
    asked: Vec<String>,
    over: bool,
}

impl Web {
    /// A server that has nothing yet.
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Mutex::new(Shared::default()));
        let theirs = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if lock(&theirs).over {
                    break;
                }
                // One after another: answers are whole at once, and nobody here keeps a connection open.
                let _ = stream.and_then(|stream| answer(stream, &theirs));
            }
        });
        Self { address, shared, thread: Some(thread) }
    }

    /// The address of a path, which begins with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Gives these bytes at this path from now on.
    pub fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        lock(&self.shared).files.insert(path.to_owned(), bytes.into());
    }

    /// Has nothing at the paths that begin so any more.
    pub fn remove(&self, prefix: &str) {
        lock(&self.shared).files.retain(|path, _| !path.starts_with(prefix));
    }

    /// The paths that were asked for since this was called last, in turn.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.shared).asked)
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        lock(&self.shared).over = true;
        // The thread waits for a connection.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(mut stream: TcpStream, shared: &Mutex<Shared>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    // The rest of the request's head.
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let found = {
        let mut shared = lock(shared);
        shared.asked.push(path.clone());
        shared.files.get(&path).cloned()
    };
    let kind = if path.ends_with('/') { "text/html;charset=UTF-8" } else { "application/octet-stream" };
    let (status, body) = found.map_or(("404 Not Found", b"<html>404</html>".to_vec()), |body| ("200 OK", body));
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(&body)?;
    stream.shutdown(Shutdown::Both)
}
