use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::server::{Answer, Server};
use super::*;
use crate::kernel::Store;
use crate::kernel::failure::Failure as _;
use crate::kernel::store;
use crate::shim::Shim;
use crate::small_disk::SmallDisk;

/// A store, and what was told while it was used.
struct World {
    folder: TempDir,
    told: Mutex<Vec<Progress>>,
}

/// So short that a test waits for nothing, and long enough for a busy machine to answer on loopback.
fn quick() -> Patience {
    Patience {
        connect: Duration::from_secs(5),
        stall: Duration::from_millis(1500),
        total: Duration::from_secs(60),
        crawl: Duration::from_secs(60),
        slowest: 4000,
        tries: 3,
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_secs(2),
    }
}

fn sum(bytes: &[u8]) -> String {
    store::hex(Sha256::new_with_prefix(bytes))
}

/// Bytes that are no web page and not the same everywhere.
fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 256 * 13) as u8).collect()
}

impl World {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), told: Mutex::default() }
    }

    fn store(&self) -> Store {
        Store::open(Some(self.folder.path().join("cache"))).unwrap()
    }

    fn with<T>(&self, offline: bool, what: impl FnOnce(&Obtain) -> T) -> T {
        let (store, shim) = (self.store(), Shim::at("/nonexistent".into()));
        let tell = |p| self.told.lock().unwrap().push(p);
        what(&Obtain { store: &store, shim: &shim, offline, refresh: false, locked: None, tell: &tell })
    }

    fn fetch_with(
        &self,
        addresses: &[&str],
        sha256: Option<&str>,
        change: impl FnOnce(&mut FetchRequest),
        patience: &Patience,
    ) -> Result<Fetched, FetchError> {
        let addresses: Vec<Url> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let mut wanted = FetchRequest { what: "the file", addresses: &addresses, sha256, size: None, limit: 1 << 20 };
        change(&mut wanted);
        self.with(false, |with| get(&wanted, Content::File, with, patience))
    }

    fn fetch(&self, addresses: &[&str], sha256: Option<&str>) -> Result<Fetched, FetchError> {
        self.fetch_with(addresses, sha256, |_| {}, &quick())
    }

    /// The problem at the only address.
    fn problem(&self, address: &str, sha256: Option<&str>) -> FetchProblem {
        problem(self.fetch(&[address], sha256))
    }

    /// The words of what went wrong meanwhile.
    fn troubles(&self) -> Vec<String> {
        let told = self.told.lock().unwrap();
        told.iter().filter(|p| matches!(p, Progress::Trouble { .. })).map(ToString::to_string).collect()
    }

    fn files(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path().join("cache").join(folder));
        entries.into_iter().flatten().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }
}

fn problem(result: Result<Fetched, FetchError>) -> FetchProblem {
    match result.unwrap_err() {
        FetchError::NotFetched(mut failed) => failed.failures.remove(0).1,
        other => panic!("{other}"),
    }
}

#[track_caller]
fn whole(fetched: &Fetched, expected: &[u8]) {
    assert!(fs::read(&fetched.path).unwrap() == expected, "other bytes");
    assert_eq!((fetched.sha256.as_str(), fetched.size), (sum(expected).as_str(), expected.len() as u64));
}

#[test]
fn a_pinned_file_is_fetched_once_and_one_that_was_damaged_again() {
    let (world, server, body) = (World::new(), Server::new(), bytes(300_000));
    let (address, sha256) = (server.on("/a.deb", [Answer::ok(body.clone())]), sum(&body));
    for _ in 0..2 {
        whole(&world.fetch(&[&address], Some(&sha256)).unwrap(), &body);
    }
    assert_eq!(server.requests().len(), 1);
    assert_eq!((world.files("downloads"), world.files("partial").len()), (vec![sha256.clone()], 0));
    let kept = world.folder.path().join("cache/downloads").join(&sha256);
    fs::write(&kept, b"flipped").unwrap();
    whole(&world.fetch(&[&address], Some(&sha256)).unwrap(), &body);
    assert_eq!(server.requests().len(), 2);
    let told = world.told.lock().unwrap();
    assert!(told.iter().any(|p| matches!(p, Progress::Fetching { done: 0, total: Some(300_000), .. })));
    assert!(told.iter().any(|p| matches!(p, Progress::Fetching { done: 300_000, total: Some(300_000), .. })));
}

#[test]
fn an_unpinned_file_is_asked_for_again_and_comes_again_only_where_it_changed() {
    let (world, server) = (World::new(), Server::new());
    let (old, new) = (bytes(5000), bytes(6000));
    for (path, etag, other) in [("/strong", "\"1\"", "\"2\""), ("/weak", "W/\"1\"", "W/\"2\"")] {
        let address = server.on(path, [Answer::file(old.clone(), etag)]);
        for _ in 0..3 {
            whole(&world.fetch(&[&address], None).unwrap(), &old);
        }
        let asked: Vec<_> = server.requests().into_iter().filter(|r| r.path == path).collect();
        let conditions: Vec<_> = asked.iter().map(|r| r.header("if-none-match")).collect();
        assert_eq!(conditions, [None, Some(etag), Some(etag)]);
        server.on(path, [Answer::file(new.clone(), other)]);
        whole(&world.fetch(&[&address], None).unwrap(), &new);
    }
    // What says nothing of itself has to come anew.
    let address = server.on("/nothing", [Answer::ok(old.clone())]);
    (0..2).for_each(|_| whole(&world.fetch(&[&address], None).unwrap(), &old));
    assert!(server.requests().iter().filter(|r| r.path == "/nothing").all(|r| r.header("if-none-match").is_none()));
    // An answer that makes no sense without a question.
    let odd = server.on("/odd", [Answer::status(304)]);
    assert!(matches!(world.problem(&odd, None), FetchProblem::Unasked { status: 304, .. }));
}

#[test]
fn what_may_have_been_cut_is_not_taken_for_all_there_is() {
    let (world, server, body) = (World::new(), Server::new(), bytes(5000));
    let file = Answer::file(body.clone(), "\"1\"");
    let address = server.on("/a.deb", [file.clone().promising_nothing().cut_after(3000), file]);
    assert_eq!(world.fetch(&[&address], None).unwrap().size, 3000, "nothing says that it was more");
    whole(&world.fetch(&[&address], None).unwrap(), &body);
    let conditions = || server.requests().iter().filter(|r| r.header("if-none-match").is_some()).count();
    assert_eq!(conditions(), 0);
    // One that says itself where it ends is all of it.
    let chunked = [b"1388\r\n", &body[..], b"\r\n0\r\n\r\n"].concat();
    let chunked = Answer::ok(chunked).promising_nothing().header("Transfer-Encoding", "chunked");
    let address = server.on("/chunked", [chunked.header("ETag", "\"2\"")]);
    for _ in 0..2 {
        whole(&world.fetch(&[&address], None).unwrap(), &body);
    }
    assert_eq!(conditions(), 1);
}

#[test]
fn a_cut_transfer_goes_on_where_it_ended_and_says_so() {
    let (world, server, body) = (World::new(), Server::new(), bytes(500_000));
    let file = Answer::file(body.clone(), "\"1\"");
    let cuts = [file.clone().cut_after(100_000), file.clone().cut_after(150_000), file.clone().cut_after(0), file];
    let address = server.on("/a", cuts);
    whole(&world.fetch(&[&address], Some(&sum(&body))).unwrap(), &body);
    let ranges: Vec<_> = server.requests().iter().map(|r| r.header("range").map(str::to_owned)).collect();
    let from = |n: u32| Some(format!("bytes={n}-"));
    assert_eq!(ranges, [None, from(100_000), from(250_000), from(250_000)]);
    assert!(server.requests()[1..].iter().all(|r| r.header("if-range") == Some("\"1\"")));
    assert_eq!(world.troubles().len(), 3, "{:?}", world.troubles());
    assert!(world.troubles()[0].contains("cut after 100000 of 500000 bytes"), "{:?}", world.troubles());
    assert!(world.troubles()[0].contains("trying again in"), "{:?}", world.troubles());
}

#[test]
fn a_transfer_that_a_killed_process_left_is_gone_on_with_by_the_next() {
    let (server, body) = (Server::new(), bytes(200_000));
    let file = Answer::file(body.clone(), "\"1\"").header("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT");
    let once = Patience { tries: 1, ..quick() };
    for (pin, left) in [(Some(sum(&body)), 70_000), (None, 70_000), (Some(sum(&body)), 200_000)] {
        let world = World::new();
        let address = server.on("/a", [file.clone().cut_after(70_000), file.clone()]);
        let cut = world.fetch_with(&[&address], pin.as_deref(), |_| {}, &once);
        assert!(matches!(
            problem(cut),
            FetchProblem::Cut { have: problem::Amount { done: 70_000, total: Some(200_000) }, .. }
        ));
        let partial = world.folder.path().join("cache/partial").join(kept::key(&address.parse().unwrap()));
        assert_eq!(fs::read(&partial).unwrap(), body[..70_000]);
        // A process may be killed after the last byte, too.
        fs::write(&partial, &body[..left]).unwrap();
        whole(&world.fetch(&[&address], pin.as_deref()).unwrap(), &body);
        // Without a sum for the whole, the last piece that is not complete proves nothing.
        let from = if pin.is_some() { left.min(body.len() - 1) } else { left / PIECE * PIECE };
        let range = (from > 0).then(|| format!("bytes={from}-"));
        assert_eq!(server.requests().last().unwrap().header("range"), range.as_deref(), "{pin:?} {left}");
        assert!(world.files("partial").is_empty());
    }
}

/// Bytes after which a sum is written.
const PIECE: usize = 64 << 10;

#[test]
fn no_flipped_bit_of_a_partial_download_gets_into_the_file() {
    let (server, body) = (Server::new(), bytes(4 * PIECE));
    let file = Answer::file(body.clone(), "\"1\"");
    let once = Patience { tries: 1, ..quick() };
    // In the first piece, in the third, in one that is not complete; and in the sums, of the first piece and the third.
    for (name, at, from) in [
        ("", 5, 0),
        ("", 2 * PIECE + 9, 2 * PIECE),
        ("", 3 * PIECE + 1, 3 * PIECE),
        (".sums", 0, 0),
        (".sums", 95, 2 * PIECE),
    ] {
        let world = World::new();
        let address = server.on("/a", [file.clone().cut_after(3 * PIECE + 100), file.clone()]);
        let _ = world.fetch_with(&[&address], None, |_| {}, &once);
        let key = kept::key(&address.parse().unwrap());
        let path = world.folder.path().join("cache/partial").join(format!("{key}{name}"));
        let mut bad = fs::read(&path).unwrap();
        bad[at] ^= 4;
        fs::write(&path, bad).unwrap();
        whole(&world.fetch(&[&address], None).unwrap(), &body);
        let range = (from > 0).then(|| format!("bytes={from}-"));
        assert_eq!(server.requests().last().unwrap().header("range"), range.as_deref(), "{name} {at}");
    }
}

#[test]
fn what_a_crash_of_the_host_left_counts_only_where_a_sum_will_judge_it() {
    let (server, body) = (Server::new(), bytes(200_000));
    let file = Answer::file(body.clone(), "\"1\"");
    for (pin, range) in [(None, None), (Some(sum(&body)), Some("bytes=50000-"))] {
        let world = World::new();
        let address = server.on("/a", [file.clone().cut_after(50_000), file.clone()]);
        let _ = world.fetch_with(&[&address], pin.as_deref(), |_| {}, &Patience { tries: 1, ..quick() });
        let store = Store::open(Some(world.folder.path().join("cache"))).unwrap();
        let name = format!("partial/{}.json", kept::key(&address.parse().unwrap()));
        let mut record: serde_json::Value = store.own_record(&name).unwrap();
        record["boot"] = "another one".into();
        store.write_record(&name, &record).unwrap();
        whole(&world.fetch(&[&address], pin.as_deref()).unwrap(), &body);
        assert_eq!(server.requests().last().unwrap().header("range"), range, "{pin:?}");
    }
}

#[test]
fn a_server_that_does_not_go_on_as_asked_is_asked_for_all_of_it() {
    let body = bytes(200_000);
    let cut = Answer::file(body.clone(), "\"1\"").cut_after(50_000);
    let part = |range: &str, from: usize| {
        Answer::status(206).header("ETag", "\"1\"").header("Content-Range", range).body(&body[from..])
    };
    let good = Answer::ok(body.clone());
    for (what, second) in [
        ("ignores the range", Answer::ok(body.clone())),
        ("says 206 and gives all of it", part("bytes 0-199999/200000", 0)),
        ("gives another part", part("bytes 60000-199999/200000", 60_000)),
        ("says nothing of the part", Answer::status(206).body(&body[50_000..])),
        ("gives nonsense", part("bytes 50000-/x", 50_000)),
        ("has a longer file now", part("bytes 50000-299999/300000", 50_000)),
        ("has another file now", part("bytes 50000-199999/200000", 50_000).header("ETag", "\"2\"")),
        ("has a shorter file now", Answer::status(416).header("Content-Range", "bytes */10")),
    ] {
        let (world, server) = (World::new(), Server::new());
        let second = if what == "has another file now" {
            Answer::status(206)
                .header("ETag", "\"2\"")
                .header("Content-Range", "bytes 50000-199999/200000")
                .body(&body[50_000..])
        } else {
            second
        };
        let address = server.on("/a", [cut.clone(), second, good.clone()]);
        whole(&world.fetch(&[&address], None).unwrap_or_else(|e| panic!("{what}: {e}")), &body);
        assert!(world.troubles().iter().any(|t| t.contains("starting again from nothing")), "{what}");
        assert!(server.requests().len() <= 3, "{what}");
    }
}

#[test]
fn parts_of_two_files_under_one_entity_tag_are_noticed_and_the_whole_is_fetched_once_more() {
    let (world, server) = (World::new(), Server::new());
    let (old, mut new) = (bytes(200_000), bytes(200_000));
    new[10] ^= 1;
    let lying = [
        Answer::file(old.clone(), "\"1\"").cut_after(50_000),
        Answer::file(new.clone(), "\"1\""),
        Answer::file(new.clone(), "\"1\""),
    ];
    let address = server.on("/a", lying.clone());
    whole(&world.fetch(&[&address], Some(&sum(&new))).unwrap(), &new);
    let ranges: Vec<_> = server.requests().iter().map(|r| r.header("range").is_some()).collect();
    assert_eq!(ranges, [false, true, false]);
    assert!(world.troubles().iter().any(|t| t.contains("came in parts") && t.contains(&sum(&new))));
    // And where the whole is wrong too, that is the end of it.
    let (world, server) = (World::new(), Server::new());
    let address = server.on("/a", lying);
    let found = world.problem(&address, Some(&sum(b"third")));
    assert!(
        matches!(&found, FetchProblem::WrongChecksum { twice: true, found, .. } if *found == sum(&new)),
        "{found:?}"
    );
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn another_sum_is_never_used_and_kept_aside() {
    let (world, server, body) = (World::new(), Server::new(), bytes(1000));
    let address = server.on("/a", [Answer::ok(body.clone())]);
    let error = world.fetch(&[&address], Some(&sum(b"other"))).unwrap_err();
    let said = error.to_string();
    assert!(said.contains(&sum(&body)) && said.contains(&sum(b"other")) && said.contains("quarantine"), "{said}");
    let kept = world.folder.path().join("cache/quarantine").join(sum(&body));
    assert_eq!(fs::read(kept).unwrap(), body);
    assert!(
        world.files("downloads").is_empty() && world.files("partial").is_empty() && world.files("addresses").is_empty()
    );
    assert_eq!(server.requests().len(), 1, "a wrong file is no reason to ask again");
}

#[test]
fn what_may_pass_is_tried_again_and_what_will_not_is_not() {
    let body = bytes(1000);
    let good = Answer::ok(body.clone());
    for (first, requests) in [
        (Answer::status(503).header("Retry-After", "0"), 2),
        (Answer::status(503).header("Retry-After", "1"), 2),
        (Answer::status(500), 2),
        (Answer::status(429), 2),
        (Answer::status(408), 2),
        (Answer::ok(body.clone()).cut_after(10), 2),
        (Answer::ok(body.clone()).promising(2000), 2),
        (Answer::ok("").promising_nothing().header("Transfer-Encoding", "chunked").body("zz\r\n"), 2),
        (Answer::status(503).header("Retry-After", "86400"), 1),
        (Answer::status(404), 1),
        (Answer::status(410), 1),
        (Answer::status(403), 1),
        (Answer::status(401), 1),
        (Answer::status(300), 1),
        (Answer::status(206).header("Content-Range", "bytes 0-999/1000").body(body.clone()), 1),
        (Answer::status(204).promising_nothing(), 1),
        (Answer::status(304).promising_nothing(), 1),
        (Answer::ok(""), 1),
    ] {
        let (world, server) = (World::new(), Server::new());
        let address = server.on("/a", [first.clone(), good.clone()]);
        let fetched = world.fetch(&[&address], Some(&sum(&body)));
        assert_eq!(server.requests().len(), requests, "{first:?}");
        assert_eq!(fetched.is_ok(), requests == 2, "{first:?}: {fetched:?}");
        assert_eq!(world.troubles().len(), requests - 1, "never silently: {first:?}");
    }
}

#[test]
fn a_server_that_stays_bad_is_left_after_a_few_tries() {
    let (world, server) = (World::new(), Server::new());
    let address = server.on("/a", [Answer::status(502)]);
    let found = world.problem(&address, None);
    assert!(matches!(found, FetchProblem::Busy { status: 502, .. }), "{found:?}");
    assert_eq!(server.requests().len(), 3);
    // Nobody listens on a port that was just given up.
    let gone = Server::new().at("/a");
    let found = world.problem(&gone, None);
    assert!(matches!(&found, FetchProblem::Unreachable { host, .. } if host == "127.0.0.1"), "{found:?}");
}

#[test]
fn silence_ends_and_says_what_was_waited_for() {
    let (world, server, body) = (World::new(), Server::new(), bytes(10_000));
    let patience = Patience { stall: Duration::from_millis(200), tries: 1, ..quick() };
    let stalls = server.on("/stalls", [Answer::ok(body.clone()).stall_after(4000)]);
    let found = problem(world.fetch_with(&[&stalls], None, |_| {}, &patience));
    assert!(
        matches!(&found, FetchProblem::TimedOut { waiting, .. } if waiting == "more than 4000 of 10000 bytes"),
        "{found:?}"
    );
    // A listener that never accepts: the kernel does, and nobody ever answers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mute = format!("http://{}/a", listener.local_addr().unwrap());
    let found = problem(world.fetch_with(&[&mute], None, |_| {}, &patience));
    assert!(matches!(&found, FetchProblem::TimedOut { waiting, .. } if waiting.contains("the answer")), "{found:?}");
    // Slow is not silent; but there is an end to patience.
    let slow = Answer::ok(body.clone()).slowly(1000, Duration::from_millis(30));
    let address = server.on("/slow", [slow.clone()]);
    whole(&world.fetch_with(&[&address], None, |_| {}, &patience).unwrap(), &body);
    let short = Patience { total: Duration::from_millis(100), ..patience };
    let again = server.on("/slower", [slow.clone()]);
    let (asked, mirror) = (|| server.requests().len(), server.on("/mirror", [slow]));
    let before = asked();
    let found = problem(world.fetch_with(&[&again, &mirror], None, |_| {}, &short));
    assert!(matches!(&found, FetchProblem::TooSlow { .. }), "{found:?}");
    assert_eq!(asked(), before + 1, "the time is the file's, and not each address's");
    // What crawls is left for what does not.
    let crawls = server.on("/crawls", [Answer::ok(body.clone()).slowly(10, Duration::from_millis(30))]);
    let prompt = server.on("/prompt", [Answer::ok(body.clone())]);
    let crawl = Patience { crawl: Duration::from_millis(100), total: quick().total, ..short };
    whole(&world.fetch_with(&[&crawls, &prompt], None, |_| {}, &crawl).unwrap(), &body);
    let troubles = world.troubles();
    assert!(troubles.iter().any(|told| told.contains("bytes came within 0.1 s")), "{troubles:?}");
}

#[test]
fn what_is_too_large_or_of_another_length_is_not_taken() {
    let (world, server, body) = (World::new(), Server::new(), bytes(10_000));
    let address = server.on("/a", [Answer::ok(body.clone())]);
    let limited = |limit| problem(world.fetch_with(&[&address], None, |w| w.limit = limit, &quick()));
    assert_eq!(limited(9_999), FetchProblem::TooLarge { limit: 9_999 });
    let endless = server.on("/endless", [Answer::ok(body.clone()).endless()]);
    assert_eq!(world.problem(&endless, None), FetchProblem::TooLarge { limit: 1 << 20 });
    let sized = |address: &str, size| problem(world.fetch_with(&[address], None, |w| w.size = Some(size), &quick()));
    assert_eq!(sized(&address, 9_000), FetchProblem::WrongLength { expected: 9_000, found: 10_000 });
    assert_eq!(sized(&address, 11_000), FetchProblem::WrongLength { expected: 11_000, found: 10_000 });
    let unsaid = server.on("/unsaid", [Answer::ok(body.clone()).promising_nothing()]);
    assert_eq!(sized(&unsaid, 11_000), FetchProblem::WrongLength { expected: 11_000, found: 10_000 });
    assert!(matches!(sized(&endless, 11_000), FetchProblem::WrongLength { expected: 11_000, found: 11_001.. }));
    // A server that sends more than it promised has said where the file ends.
    let long = server.on("/long", [Answer::ok(body.clone()).promising(9_000)]);
    whole(&world.fetch(&[&long], None).unwrap(), &body[..9_000]);
    assert!(world.files("partial").is_empty(), "{:?}", world.files("partial"));
}

#[test]
fn a_web_page_is_no_file_whatever_the_status() {
    let (world, server) = (World::new(), Server::new());
    let page = "<!DOCTYPE html><html><head><title>Welcome to Hotel Wi-Fi</title></head></html>";
    let address = server.on("/a", [Answer::ok(page)]);
    for pin in [None, Some(sum(b"the file"))] {
        let error = world.fetch(&[&address], pin.as_deref()).unwrap_err().to_string();
        assert!(error.contains("a web page") && error.contains("Hotel Wi-Fi") && error.contains("portal"), "{error}");
    }
    let long = format!("{page}{}", "x".repeat(100_000));
    let address = server.on("/long", [Answer::ok(long.clone()).cut_after(50_000)]);
    assert!(matches!(world.problem(&address, None), FetchProblem::WebPage { .. }));
    assert!(world.files("quarantine").is_empty() && world.files("downloads").is_empty());
    // A document may well be one.
    let index = server.on("/", [Answer::ok(page)]);
    let document = world.with(false, |with| read_document(&index.parse().unwrap(), 1000, with, &quick())).unwrap();
    assert_eq!(document.bytes, page.as_bytes());
}

#[test]
fn redirects_are_followed_within_reason() {
    let (world, server, body) = (World::new(), Server::new(), bytes(1000));
    server.on("/end", [Answer::ok(body.clone())]);
    for hop in 0..10 {
        let next = if hop == 0 { "/end".to_owned() } else { format!("/{}", hop - 1) };
        server.on(&format!("/{hop}"), [Answer::redirect(&next)]);
    }
    let fetched = world.fetch(&[&server.at("/9")], Some(&sum(&body))).unwrap();
    assert_eq!(fetched.address.as_str(), server.at("/9"), "results name what was asked for");
    server.on("/10", [Answer::redirect("/9")]);
    server.on("/loop", [Answer::redirect("/loop")]);
    server.on("/ftp", [Answer::redirect("ftp://127.0.0.1/a")]);
    server.on("/file", [Answer::redirect("file:///etc/passwd")]);
    for (path, says) in
        [("/10", "more than 10 times"), ("/loop", "more than 10"), ("/ftp", "ftp://"), ("/file", "file:///etc/passwd")]
    {
        let found = World::new().problem(&server.at(path), None);
        assert!(matches!(&found, FetchProblem::Redirect(said) if said.to_string().contains(says)), "{path}: {found:?}");
    }
}

#[test]
fn mirrors_are_tried_in_turn_and_every_failure_is_named() {
    let (world, server, body) = (World::new(), Server::new(), bytes(1000));
    let bad = server.on("/bad", [Answer::ok("something else")]);
    let (missing, good) = (server.at("/missing"), server.on("/good", [Answer::ok(body.clone())]));
    let fetched = world.fetch(&[&missing, &bad, &good], Some(&sum(&body))).unwrap();
    assert_eq!(fetched.address.as_str(), good);
    assert_eq!(world.troubles().iter().filter(|t| t.contains("trying http")).count(), 2, "{:?}", world.troubles());
    let world = World::new();
    let error = world.fetch(&[&missing, &bad], Some(&sum(&body))).unwrap_err();
    let said = error.to_string();
    for part in [missing.as_str(), bad.as_str(), "HTTP 404", &sum(b"something else")] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!error.is_gone());
    assert!(world.fetch(&[&missing, &missing], None).unwrap_err().is_gone());
}

#[test]
fn a_document_is_kept_for_when_its_server_is_away() {
    let world = World::new();
    let server = Server::new();
    let address: Url = server.on("/index", [Answer::file("one", "\"1\"")]).parse().unwrap();
    let read = |offline| world.with(offline, |with| read_document(&address, 1000, with, &quick()));
    assert!(matches!(read(true), Err(FetchError::NotCached(_))));
    let fresh = read(false).unwrap();
    assert_eq!((fresh.bytes.as_slice(), fresh.stale), (&b"one"[..], None));
    let stale = read(true).unwrap();
    assert_eq!((stale.bytes.as_slice(), stale.stale.unwrap().why.as_str()), (&b"one"[..], "offline was asked for"));
    server.on("/index", [Answer::status(503)]);
    let stale = read(false).unwrap();
    assert!(stale.bytes == b"one" && stale.stale.unwrap().why.contains("HTTP 503"));
    server.on("/index", [Answer::status(404)]);
    assert!(read(false).unwrap_err().is_gone(), "a server that says no is not away");
    drop(server);
    assert!(read(false).unwrap().stale.unwrap().why.contains("cannot be reached"));
}

#[test]
fn offline_asks_nobody() {
    let (world, server, body) = (World::new(), Server::new(), bytes(1000));
    let address: Url = server.on("/a", [Answer::ok(body.clone())]).parse().unwrap();
    let (addresses, sha256) = ([address], sum(&body));
    let ask = |sha256| {
        let wanted = FetchRequest { what: "the file", addresses: &addresses, sha256, size: None, limit: 1 << 20 };
        world.with(true, |with| get(&wanted, Content::File, with, &quick()))
    };
    for pin in [None, Some(sha256.as_str())] {
        assert!(matches!(ask(pin), Err(FetchError::NotCached(_))));
    }
    assert!(server.requests().is_empty());
    world.fetch(&[addresses[0].as_str()], Some(&sha256)).unwrap();
    assert!(ask(Some(&sha256)).unwrap().stale.is_none());
    assert!(ask(None).unwrap().stale.is_some());
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn many_at_once_fetch_a_file_once() {
    let (world, server, body) = (World::new(), Server::new(), bytes(400_000));
    let address = server.on("/a", [Answer::file(body.clone(), "\"1\"").slowly(40_000, Duration::from_millis(5))]);
    for pin in [Some(sum(&body)), None] {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| whole(&world.fetch(&[&address], pin.as_deref()).unwrap(), &body));
            }
        });
    }
    let whole = server.requests().iter().filter(|r| r.header("if-none-match").is_none()).count();
    assert_eq!(whole, 1);
}

#[test]
fn headers_without_end_are_refused() {
    let server = Server::new();
    let long = "x".repeat(2 << 20);
    for bomb in [
        Answer::ok("a").header("X-Bomb", &long),
        (0..5000).fold(Answer::ok("a"), |answer, n| answer.header(&format!("X-{n}"), "y")),
    ] {
        let address = server.on("/a", [bomb]);
        let found = World::new().problem(&address, None);
        assert!(matches!(found, FetchProblem::Garbled(_) | FetchProblem::Unreachable { .. }), "{found:?}");
    }
}

#[test]
fn what_a_server_packs_is_left_as_it_is() {
    let (world, server) = (World::new(), Server::new());
    // As a server does that takes the ending .gz for an encoding.
    let gzip = b"\x1f\x8b\x08not really";
    let address = server.on("/a.tar.gz", [Answer::ok(&gzip[..]).header("Content-Encoding", "gzip")]);
    whole(&world.fetch(&[&address], None).unwrap(), gzip);
    assert_eq!(server.requests()[0].header("accept-encoding"), Some("identity"));
    assert!(world.troubles().iter().any(|told| told.contains("packed it (gzip)")), "{:?}", world.troubles());
}

/// Who a server says that it is, vouched for by nobody.
fn nobody_s_identity(is_authority: bool) -> Arc<rustls::ServerConfig> {
    let mut about = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    if is_authority {
        // As `openssl req -x509` makes it.
        about.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    }
    let signing_key = rcgen::KeyPair::generate().unwrap();
    let cert = about.self_signed(&signing_key).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap())
}

#[test]
fn a_server_that_cannot_prove_who_it_is_gives_nothing() {
    let world = World::new();
    for (is_authority, why) in [(false, "no authority that this system trusts"), (true, "is self-signed")] {
        let server = Server::with_tls(nobody_s_identity(is_authority));
        let address = server.on("/a", [Answer::ok("never")]);
        let found = world.problem(&address, None);
        let said = found.to_string();
        assert!(matches!(&found, FetchProblem::Tls { host, .. } if host == "localhost"), "{found:?}");
        assert!(said.contains("TLS with localhost failed: ") && said.contains("the server's certificate"), "{said}");
        assert!(said.contains(why) && !said.contains("OtherError"), "{said}");
        assert!(server.requests().is_empty() && world.troubles().is_empty(), "and it is not asked twice");
    }
    // Nor does one that speaks no TLS at all.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let plain = format!("https://{}/a", listener.local_addr().unwrap());
    let answering =
        std::thread::spawn(move || listener.accept().unwrap().0.write_all(b"HTTP/1.1 400 x\r\n\r\n").unwrap());
    let found = world.problem(&plain, None);
    answering.join().unwrap();
    assert!(matches!(&found, FetchProblem::Tls { .. }), "{found:?}");
}

#[test]
fn a_full_disk_is_no_fault_of_the_server() {
    let world = World::new();
    let server = Server::new();
    let address = server.on("/a", [Answer::ok("x")]);
    let store = world.store();
    fs::write(store.path("partial"), "in the way").unwrap();
    let error = world.fetch(&[&address, &address], None).unwrap_err();
    assert!(
        matches!(&error, FetchError::File(FileError::Io { path, .. }) if Path::new(path).ends_with("partial")),
        "{error}"
    );
    assert!(server.requests().is_empty());
}

#[test]
fn what_filled_the_disk_is_not_kept() {
    let world = World::new();
    let cache = world.folder.path().join("cache");
    let Some(_disk) = SmallDisk::mount(&cache, "size=512k") else { return };
    let server = Server::new();
    for headers in [&[][..], &[("ETag", "\"1\"")]] {
        let endless =
            headers.iter().fold(Answer::ok(bytes(900_000)), |answer, (name, value)| answer.header(name, value));
        let endless = server.on("/endless", [endless]);
        let error = world.fetch(&[&endless], None).unwrap_err();
        assert!(matches!(error, FetchError::File(FileError::DiskFull { .. })), "{error}");
        assert!(world.files("partial").is_empty(), "{:?}", world.files("partial"));
        let small = server.on("/small", [Answer::ok("small")]);
        whole(&world.fetch(&[&small], None).unwrap(), b"small");
    }
}
