use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::server::{Answer, Server};
use super::world::{FetchWorld, bytes, problem, quick, sum, whole};
use super::*;
use crate::kernel::error_class::ClassedError as _;
use crate::small_disk::SmallDisk;

#[test]
fn only_temporary_failures_are_retried() {
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
        let (world, server) = (FetchWorld::new(), Server::new());
        let address = server.on("/a", [first.clone(), good.clone()]);
        let fetched = world.fetch(&[&address], Some(&sum(&body)));
        assert_eq!(server.requests().len(), requests, "{first:?}");
        assert_eq!(fetched.is_ok(), requests == 2, "{first:?}: {fetched:?}");
        assert_eq!(world.troubles().len(), requests - 1, "never silently: {first:?}");
    }
}

#[test]
fn retries_end_when_a_server_stays_broken() {
    let (world, server) = (FetchWorld::new(), Server::new());
    let address = server.on("/a", [Answer::status(502)]);
    let found = world.problem(&address, None);
    assert!(matches!(found, FetchProblem::Busy { status: 502, .. }), "{found:?}");
    assert_eq!(server.requests().len(), 3);
    // Nobody listens on a port that was just closed.
    let gone = Server::new().at("/a");
    let found = world.problem(&gone, None);
    assert!(matches!(&found, FetchProblem::Unreachable { host, .. } if host == "127.0.0.1"), "{found:?}");
}

#[test]
fn silence_times_out_and_names_what_it_waited_for() {
    let (world, server, body) = (FetchWorld::new(), Server::new(), bytes(10_000));
    let patience = Patience { stall: Duration::from_millis(200), tries: 1, ..quick() };
    let stalls = server.on("/stalls", [Answer::ok(body.clone()).stall_after(4000)]);
    let found = problem(world.fetch_with(&[&stalls], None, |_| {}, &patience));
    assert!(
        matches!(&found, FetchProblem::TimedOut { waiting, .. } if waiting == "more than 4000 of 10000 bytes"),
        "{found:?}"
    );
    // The listener never accepts. The kernel does, but no answer comes.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mute = format!("http://{}/a", listener.local_addr().unwrap());
    let found = problem(world.fetch_with(&[&mute], None, |_| {}, &patience));
    assert!(matches!(&found, FetchProblem::TimedOut { waiting, .. } if waiting.contains("the answer")), "{found:?}");
    // A slow transfer is not silent, but has a limit too.
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
    // A mirror replaces an address that is too slow.
    let crawls = server.on("/crawls", [Answer::ok(body.clone()).slowly(10, Duration::from_millis(30))]);
    let prompt = server.on("/prompt", [Answer::ok(body.clone())]);
    let crawl = Patience { crawl: Duration::from_millis(100), total: quick().total, ..short };
    whole(&world.fetch_with(&[&crawls, &prompt], None, |_| {}, &crawl).unwrap(), &body);
    let troubles = world.troubles();
    assert!(troubles.iter().any(|told| told.contains("bytes in 0.1 s")), "{troubles:?}");
}

#[test]
fn wrong_or_too_large_size_is_rejected() {
    let (world, server, body) = (FetchWorld::new(), Server::new(), bytes(10_000));
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
    // If a server sends more than it promised, the promise counts.
    let long = server.on("/long", [Answer::ok(body.clone()).promising(9_000)]);
    whole(&world.fetch(&[&long], None).unwrap(), &body[..9_000]);
    assert!(world.files("partial").is_empty(), "{:?}", world.files("partial"));
}

#[test]
fn web_page_is_rejected_with_any_status() {
    let (world, server) = (FetchWorld::new(), Server::new());
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
    let (world, server, body) = (FetchWorld::new(), Server::new(), bytes(1000));
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
        let found = FetchWorld::new().problem(&server.at(path), None);
        assert!(matches!(&found, FetchProblem::Redirect(said) if said.to_string().contains(says)), "{path}: {found:?}");
    }
}

#[test]
fn mirrors_are_tried_in_turn_and_all_failures_named() {
    let (world, server, body) = (FetchWorld::new(), Server::new(), bytes(1000));
    let bad = server.on("/bad", [Answer::ok("something else")]);
    let (missing, good) = (server.at("/missing"), server.on("/good", [Answer::ok(body.clone())]));
    let fetched = world.fetch(&[&missing, &bad, &good], Some(&sum(&body))).unwrap();
    assert_eq!(fetched.address.as_str(), good);
    assert_eq!(world.troubles().iter().filter(|t| t.contains("trying http")).count(), 2, "{:?}", world.troubles());
    let world = FetchWorld::new();
    let error = world.fetch(&[&missing, &bad], Some(&sum(&body))).unwrap_err();
    let said = error.to_string();
    for part in [missing.as_str(), bad.as_str(), "HTTP 404", &sum(b"something else")] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!error.is_gone());
    assert!(world.fetch(&[&missing, &missing], None).unwrap_err().is_gone());
}

#[test]
fn cached_document_is_used_when_the_server_is_away() {
    let world = FetchWorld::new();
    let server = Server::new();
    let address: Url = server.on("/index", [Answer::file("one", "\"1\"")]).parse().unwrap();
    let read = |offline| world.with(offline, |with| read_document(&address, 1000, with, &quick()));
    assert!(matches!(read(true), Err(FetchError::NotCached(_))));
    let fresh = read(false).unwrap();
    assert_eq!((fresh.bytes.as_slice(), fresh.stale), (&b"one"[..], None));
    let stale = read(true).unwrap();
    assert_eq!((stale.bytes.as_slice(), stale.stale.unwrap().why.as_str()), (&b"one"[..], "offline mode"));
    server.on("/index", [Answer::status(503)]);
    let stale = read(false).unwrap();
    assert!(stale.bytes == b"one" && stale.stale.unwrap().why.contains("HTTP 503"));
    server.on("/index", [Answer::status(404)]);
    assert!(read(false).unwrap_err().is_gone(), "a server that says no is not away");
    drop(server);
    assert!(read(false).unwrap().stale.unwrap().why.contains("cannot reach"));
}

#[test]
fn offline_sends_no_request() {
    let (world, server, body) = (FetchWorld::new(), Server::new(), bytes(1000));
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
fn concurrent_fetches_download_a_file_once() {
    let (world, server, body) = (FetchWorld::new(), Server::new(), bytes(400_000));
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
fn endless_headers_are_rejected() {
    let server = Server::new();
    let long = "x".repeat(2 << 20);
    for bomb in [
        Answer::ok("a").header("X-Bomb", &long),
        (0..5000).fold(Answer::ok("a"), |answer, n| answer.header(&format!("X-{n}"), "y")),
    ] {
        let address = server.on("/a", [bomb]);
        let found = FetchWorld::new().problem(&address, None);
        assert!(matches!(found, FetchProblem::Garbled(_) | FetchProblem::Unreachable { .. }), "{found:?}");
    }
}

#[test]
fn content_encoding_is_left_as_it_is() {
    let (world, server) = (FetchWorld::new(), Server::new());
    // Some servers take the ending .gz for an encoding.
    let gzip = b"\x1f\x8b\x08not really";
    let address = server.on("/a.tar.gz", [Answer::ok(&gzip[..]).header("Content-Encoding", "gzip")]);
    whole(&world.fetch(&[&address], None).unwrap(), gzip);
    assert_eq!(server.requests()[0].header("accept-encoding"), Some("identity"));
    assert!(world.troubles().iter().any(|told| told.contains("compressed it (gzip)")), "{:?}", world.troubles());
}

/// A server's self-signed identity.
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
fn untrusted_certificate_is_rejected() {
    let world = FetchWorld::new();
    for (is_authority, why) in [(false, "that this system does not trust"), (true, "is self-signed")] {
        let server = Server::with_tls(nobody_s_identity(is_authority));
        let address = server.on("/a", [Answer::ok("never")]);
        let found = world.problem(&address, None);
        let said = found.to_string();
        assert!(matches!(&found, FetchProblem::Tls { host, .. } if host == "localhost"), "{found:?}");
        assert!(said.contains("TLS with localhost failed: ") && said.contains("the server's certificate"), "{said}");
        assert!(said.contains(why) && !said.contains("OtherError"), "{said}");
        assert!(server.requests().is_empty() && world.troubles().is_empty(), "and it is not asked twice");
    }
    // A server without TLS is rejected, too.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let plain = format!("https://{}/a", listener.local_addr().unwrap());
    let answering =
        std::thread::spawn(move || listener.accept().unwrap().0.write_all(b"HTTP/1.1 400 x\r\n\r\n").unwrap());
    let found = world.problem(&plain, None);
    answering.join().unwrap();
    assert!(matches!(&found, FetchProblem::Tls { .. }), "{found:?}");
}

#[test]
fn cache_failure_does_not_blame_the_server() {
    let world = FetchWorld::new();
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
fn partial_file_is_removed_when_the_disk_is_full() {
    let world = FetchWorld::new();
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
