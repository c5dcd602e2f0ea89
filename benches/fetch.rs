//! How fast a file is fetched, beside curl: `cargo bench --bench fetch`.
//!
//! A server on loopback sends 200 MB from memory, in turn to curl and to the library, several times; the fastest of each
//! counts. The library hashes what comes, and what it keeps is safe on the disk before it says so, which curl does not
//! do: the cost of that is told apart by a folder in memory, where there is one (`BACKPROOF_BENCH_DIR` names another).
#![expect(clippy::disallowed_macros, reason = "a bench prints for people who watch it")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use backproof::kernel::{self, Obtain, Store};
use backproof::matrix::{Pin, Remote};
use backproof::shim::Shim;
use sha2::{Digest as _, Sha256};

const BYTES: usize = 200_000_000;
const ROUNDS: usize = 7;
/// The library may take so much longer than curl.
const LIMIT: f64 = 1.2;

fn main() -> Result<()> {
    let body: Arc<[u8]> = (0..BYTES).map(|at| (at * 7 + at / 256 * 13) as u8).collect();
    let sum: String = Sha256::digest(&body).iter().map(|byte| format!("{byte:02x}")).collect();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = format!("http://{}/file", listener.local_addr()?);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that hangs up has what it wanted.
            let _ = serve(stream, &body);
        }
    });
    let memory = Path::new("/dev/shm");
    let own = std::env::var_os("BACKPROOF_BENCH_DIR").map(PathBuf::from);
    let folders = [own.unwrap_or_else(std::env::temp_dir), memory.to_owned()];
    let mut ratio = f64::INFINITY;
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        let (mut curl, mut ours) = (Duration::MAX, Duration::MAX);
        for _ in 0..ROUNDS {
            curl = curl.min(by_curl(&address, folder)?);
            ours = ours.min(by_us(&address, &sum, folder)?);
        }
        let speed = |time: Duration| BYTES as f64 / 1e6 / time.as_secs_f64();
        ratio = ours.as_secs_f64() / curl.as_secs_f64();
        println!(
            "{:<12} curl {:5.0} ms ({:5.0} MB/s), backproof {:5.0} ms ({:5.0} MB/s): {ratio:.2} of curl's time",
            folder.display(),
            curl.as_secs_f64() * 1e3,
            speed(curl),
            ours.as_secs_f64() * 1e3,
            speed(ours),
        );
    }
    ensure!(ratio <= LIMIT, "more than {LIMIT} of curl's time");
    Ok(())
}

fn serve(mut stream: TcpStream, body: &[u8]) -> std::io::Result<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    stream.write_all(body)
}

fn by_curl(address: &str, folder: &Path) -> Result<Duration> {
    let folder = tempfile::tempdir_in(folder)?;
    let target = folder.path().join("file");
    let began = Instant::now();
    let mut command = Command::new("curl");
    let status = command.args(["--silent", "--noproxy", "*", "-o"]).arg(&target).arg(address).status();
    let took = began.elapsed();
    ensure!(status.context("curl")?.success() && target.metadata()?.len() == BYTES as u64, "curl failed");
    Ok(took)
}

fn by_us(address: &str, sum: &str, folder: &Path) -> Result<Duration> {
    let folder = tempfile::tempdir_in(folder)?;
    let store = Store::open(Some(folder.path().to_owned()))?;
    let shim = Shim::of_this_program()?;
    let with = Obtain { store: &store, shim: &shim, offline: false, refresh: false, locked: None, tell: &|_| {} };
    let remote = Remote { address: address.parse()?, pin: Pin::Sha256(sum.parse()?), mirrors: Vec::new() };
    let began = Instant::now();
    let file = kernel::fetch(&remote, &with)?;
    let took = began.elapsed();
    let size = file.path.metadata()?.len();
    ensure!(size == BYTES as u64, "{size} bytes");
    Ok(took)
}
