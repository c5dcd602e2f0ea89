//! One file from one address: requests it, resumes it after a cut, and checks the whole.

use std::cell::Cell;
use std::sync::mpsc;
use std::thread;

use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode, Version};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::bytes::Bytes;
use url::Url;

use super::answer::{continued, is_chunked, packed, range, said_no};
use super::client::{HttpClient, deepest};
use super::headers::Validator;
use super::kept::{self, FetchRecord};
use super::partial::Partial;
use super::patience::Patience;
use super::problem::{Amount, FetchProblem};
use super::speed::{Crawl, Speed};
use super::web_page;
use super::{Content, FetchRequest, Fetched};
use crate::kernel::file_error::FileError;
use crate::kernel::obtain::Obtain;
use crate::kernel::progress::Progress;
use crate::kernel::quoted::Quoted;

/// The most pieces waiting to be written, each of ten to a few hundred KiB.
const WAITING: usize = 64;

/// One address of a file.
pub(super) struct FileTransfer<'a> {
    pub wanted: &'a FetchRequest<'a>,
    pub content: Content,
    pub with: &'a Obtain<'a>,
    pub patience: &'a Patience,
    pub client: &'a HttpClient,
    pub address: &'a Url,
    /// The deadline for the file, for all of its addresses; set by the first request.
    pub deadline: &'a Cell<Option<Instant>>,
}

/// Why the transfer failed.
pub(super) enum Failed {
    /// It is this host's fault, so another address doesn't help.
    Here(FileError),
    /// It is the address's fault.
    There(FetchProblem),
}

/// The result of an answer.
enum Came {
    /// The file is unchanged.
    Unchanged(Box<FetchRecord>),
    /// The file is complete: with its headers, or without any if nothing proves that it is complete.
    Whole(HeaderMap),
    /// The server has another file than the partial one, or can't resume it.
    Other(String),
}

impl From<FileError> for Failed {
    fn from(error: FileError) -> Self {
        Self::Here(error)
    }
}

impl From<FetchProblem> for Failed {
    fn from(problem: FetchProblem) -> Self {
        Self::There(problem)
    }
}

impl FileTransfer<'_> {
    pub(super) fn run(&self) -> Result<Fetched, Failed> {
        let store = self.with.store;
        let waiting = || (self.with.tell)(Progress::Waiting { what: self.wanted.what.to_owned() });
        let _lock = store.lock(&format!("address-{}", kept::key(self.address)), waiting)?;
        let mut partial = Partial::open(store, self.address, self.wanted.sha256.is_some())?;
        match self.tries(&mut partial) {
            Ok((seen, is_new)) => {
                if is_new {
                    kept::folder(store, "downloads")?;
                    partial.keep(&kept::path(store, &seen.sha256))?;
                } else {
                    partial.discard()?;
                }
                seen.write(store, self.address)?;
                let path = kept::place(store, &seen.sha256);
                let (sha256, size, address) = (seen.sha256, seen.size, self.address.clone());
                Ok(Fetched { sha256, size, address, path, stale: None, was_here: !is_new })
            }
            Err(Failed::There(FetchProblem::WrongChecksum { expected, found, kept, twice })) => {
                kept::folder(store, "quarantine")?;
                partial.keep(&kept)?;
                Err(Failed::There(FetchProblem::WrongChecksum { expected, found, kept, twice }))
            }
            Err(Failed::There(problem)) => {
                let is_of_no_use = partial.validator().is_none() || problem.is_about_content();
                if is_of_no_use {
                    partial.discard()?
                }
                Err(problem.into())
            }
            // A file that filled the disk blocks all others, and without a validator it cannot be resumed.
            Err(Failed::Here(error)) => {
                if matches!(error, FileError::DiskFull { .. }) || partial.validator().is_none() {
                    partial.discard()?;
                }
                Err(error.into())
            }
        }
    }

    /// Tries until the file is complete: its record, and whether it was fetched just now.
    fn tries(&self, partial: &mut Partial<'_>) -> Result<(FetchRecord, bool), Failed> {
        let deadline = self.deadline.get().unwrap_or_else(|| Instant::now() + self.patience.total);
        self.deadline.set(Some(deadline));
        let (mut fruitless, mut most, mut was_wrong) = (0, partial.length(), false);
        loop {
            let problem = match self.attempt(partial, deadline) {
                Ok(Came::Unchanged(seen)) => return Ok((seen.confirmed(), false)),
                Ok(Came::Other(why)) => {
                    self.trouble(why, "starting over".to_owned());
                    partial.restart()?;
                    continue;
                }
                Ok(Came::Whole(_)) if partial.length() == 0 && self.content == Content::File => FetchProblem::Empty,
                Ok(Came::Whole(headers)) => {
                    let found = partial.sha256();
                    match self.wanted.sha256 {
                        Some(expected) if expected != found => {
                            if partial.is_resumed() && !was_wrong {
                                // The parts may belong to two files, although the server denies it.
                                was_wrong = true;
                                let why = format!("sha256 mismatch after resuming: found {found}, expected {expected}");
                                self.trouble(why, "starting over".to_owned());
                                partial.restart()?;
                                continue;
                            }
                            let (expected, twice) = (expected.to_owned(), was_wrong);
                            let kept = self.with.store.path("quarantine").join(&found);
                            return Err(FetchProblem::WrongChecksum { expected, found, kept, twice }.into());
                        }
                        _ => return Ok((FetchRecord::of(self.address, &headers, found, partial.length()), true)),
                    }
                }
                Err(Failed::There(problem)) => problem,
                Err(here) => return Err(here),
            };
            fruitless = if partial.length() > most { 1 } else { fruitless + 1 };
            most = most.max(partial.length());
            let after = match &problem {
                FetchProblem::Busy { after, .. } => *after,
                _ => None,
            };
            let pause = match self.patience.pause(fruitless, after) {
                Some(pause) if problem.may_pass() && fruitless < self.patience.tries => pause,
                _ => return Err(problem.into()),
            };
            if Instant::now() + pause >= deadline {
                return Err(problem.into());
            }
            self.trouble(problem.to_string(), format!("trying again in {:.1} s", pause.as_secs_f64()));
            self.client.block_on(async { sleep(pause).await });
        }
    }

    fn trouble(&self, why: String, then: String) {
        (self.with.tell)(super::trouble(self.wanted, self.address, &why, then));
    }

    /// One request and its whole answer.
    fn attempt(&self, partial: &mut Partial<'_>, deadline: Instant) -> Result<Came, Failed> {
        let resumed = partial.validator().cloned();
        let seen = match (&resumed, self.wanted.sha256) {
            (None, None) => FetchRecord::read(self.with.store, self.address)?.map(|(seen, _)| seen),
            _ => None,
        };
        let headers = match &resumed {
            Some(validator) => range(partial.length(), validator)?,
            None => seen.as_ref().map(FetchRecord::condition).unwrap_or_default(),
        };
        let response = self.client.block_on(self.ask(headers, amount(partial), deadline))?;
        if let Some(how) = packed(response.headers()) {
            self.trouble(format!("the server compressed it ({how}) unasked"), "using it as it is".to_owned());
        }
        match (response.status(), resumed, seen) {
            (StatusCode::OK, resumed, _) => {
                if resumed.is_some() {
                    // The server has no ranges, or another file; either way this is the whole file.
                    self.trouble("the server sent the whole file".to_owned(), "starting over".to_owned());
                }
                let total = response.content_length();
                self.check_length(total)?;
                partial.begin(Validator::of(response.headers()), total)?;
                self.body(response, total, partial, deadline)
            }
            (StatusCode::PARTIAL_CONTENT, Some(validator), _) => {
                match continued(response.headers(), &validator, partial) {
                    Err(why) => Ok(Came::Other(why)),
                    Ok(total) => {
                        self.check_length(total)?;
                        let (what, done) = (self.wanted.what.to_owned(), partial.length());
                        (self.with.tell)(Progress::Resuming { what, done, total });
                        partial.go_on();
                        self.body(response, total, partial, deadline)
                    }
                }
            }
            (StatusCode::RANGE_NOT_SATISFIABLE, Some(_), _) => {
                Ok(Came::Other("the server has less of it than the cache".to_owned()))
            }
            (StatusCode::NOT_MODIFIED, None, Some(seen)) => Ok(Came::Unchanged(Box::new(seen))),
            (status, ..) => Err(said_no(status, response.headers()).into()),
        }
    }

    /// One request and the start of its answer.
    async fn ask(&self, headers: HeaderMap, have: Amount, deadline: Instant) -> Result<Response, FetchProblem> {
        let answer = self.client.get(self.address, headers).send();
        match timeout_at(self.next_limit(deadline), answer).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) if error.is_timeout() => {
                let waiting = format!("a connection to {}", self.address.host_str().unwrap_or_default());
                Err(FetchProblem::TimedOut { waiting, limit: self.patience.connect })
            }
            Ok(Err(error)) => Err(self.client.refused(self.address, &error)),
            Err(_) => Err(self.timed_out("the beginning of the answer".to_owned(), have, deadline)),
        }
    }

    /// Reads the body of an answer. It is hashed and written while more of it arrives: each takes about as long as
    /// the network does on a fast one.
    fn body(
        &self,
        response: Response,
        total: Option<u64>,
        partial: &mut Partial<'_>,
        deadline: Instant,
    ) -> Result<Came, Failed> {
        // A connection that just closes may have cut the file: a later request must not take it for complete.
        let is_proven = total.is_some() || response.version() >= Version::HTTP_2 || is_chunked(response.headers());
        let headers = if is_proven { response.headers().clone() } else { HeaderMap::new() };
        let (have, head) = (Amount { done: partial.length(), total }, partial.head(web_page::HEAD)?);
        let (read, written) = thread::scope(|scope| {
            let (give, given) = mpsc::sync_channel::<Bytes>(WAITING);
            let writing = scope.spawn(move || given.into_iter().try_for_each(|bytes| partial.append(&bytes)));
            let read = self.client.block_on(self.read(response, have, head, &give, deadline));
            drop(give);
            (read, writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        // The write error explains more than the read error.
        written?;
        let done = read?;
        self.check_length(Some(done))?;
        Ok(Came::Whole(headers))
    }

    /// Reads a body to its end and sends its pieces; the file's final size.
    async fn read(
        &self,
        mut response: Response,
        mut have: Amount,
        mut head: Vec<u8>,
        give: &mpsc::SyncSender<Bytes>,
        deadline: Instant,
    ) -> Result<u64, FetchProblem> {
        let expected = have.total.or(self.wanted.size);
        let (mut speed, mut crawl) = (Speed::new(have.done), Crawl::new(have.done));
        let (mut is_judged, via) = (false, self.elsewhere(&response));
        self.progress(have, None);
        loop {
            let next = timeout_at(self.next_limit(deadline), response.chunk());
            let bytes = match next.await {
                Ok(Ok(Some(bytes))) => bytes,
                Ok(Ok(None)) => break,
                Ok(Err(error)) => {
                    return Err(FetchProblem::Cut { have, detail: Quoted::of(deepest(&error).as_bytes()) });
                }
                Err(_) => return Err(self.timed_out(format!("more than {have}"), have, deadline)),
            };
            have.done += bytes.len() as u64;
            match expected {
                Some(expected) if have.done > expected => {
                    return Err(FetchProblem::WrongLength { expected, found: have.done });
                }
                None if have.done > self.wanted.limit => {
                    return Err(FetchProblem::TooLarge { limit: self.wanted.limit });
                }
                _ => {}
            }
            if !is_judged {
                head.extend_from_slice(&bytes[..bytes.len().min(web_page::HEAD)]);
                is_judged = head.len() >= web_page::HEAD;
                if is_judged {
                    self.no_web_page(&head, via.as_deref())?;
                }
            }
            if give.send(bytes).is_err() {
                // It cannot be written; the writer reports why.
                break;
            }
            if let Some(bytes) = crawl.after(std::time::Instant::now(), have.done, self.patience) {
                return Err(FetchProblem::Crawling { have, bytes, time: self.patience.crawl });
            }
            if let Some(speed) = speed.now(have.done) {
                self.progress(have, Some(speed));
            }
        }
        if have.total.is_some_and(|total| have.done < total) {
            return Err(FetchProblem::Cut { have, detail: Quoted::of(b"the server closed it") });
        }
        self.no_web_page(&head, via.as_deref())?;
        self.progress(Amount { total: Some(have.done), ..have }, speed.last());
        Ok(have.done)
    }

    /// Whether this can be the file's size.
    fn check_length(&self, found: Option<u64>) -> Result<(), FetchProblem> {
        match (found, self.wanted.size) {
            (Some(found), Some(expected)) if found != expected => Err(FetchProblem::WrongLength { expected, found }),
            (Some(found), _) if found > self.wanted.limit => Err(FetchProblem::TooLarge { limit: self.wanted.limit }),
            _ => Ok(()),
        }
    }

    fn no_web_page(&self, head: &[u8], via: Option<&str>) -> Result<(), FetchProblem> {
        match web_page::is_one(head) {
            Some(title) if self.content == Content::File => {
                Err(FetchProblem::WebPage { title, via: via.map(str::to_owned) })
            }
            _ => Ok(()),
        }
    }

    /// The host that answered, if the address names another one.
    fn elsewhere(&self, response: &Response) -> Option<String> {
        let host = response.url().host_str().filter(|host| Some(*host) != self.address.host_str());
        host.map(str::to_owned)
    }

    fn progress(&self, have: Amount, speed: Option<u64>) {
        let (package, total) = (self.wanted.what.to_owned(), have.total.or(self.wanted.size));
        (self.with.tell)(Progress::Fetching { package, done: have.done, total, speed });
    }

    fn next_limit(&self, deadline: Instant) -> Instant {
        deadline.min(Instant::now() + self.patience.stall)
    }

    fn timed_out(&self, waiting: String, have: Amount, deadline: Instant) -> FetchProblem {
        if Instant::now() >= deadline {
            return FetchProblem::TooSlow { have, limit: self.patience.total };
        }
        FetchProblem::TimedOut { waiting, limit: self.patience.stall }
    }
}

fn amount(partial: &Partial<'_>) -> Amount {
    Amount { done: partial.length(), total: partial.total() }
}
