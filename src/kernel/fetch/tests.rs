use std::fs;

use super::server::{Answer, Server};
use super::world::{FetchWorld, bytes, problem, quick, sum, whole};
use super::*;
use crate::kernel::store::Store;

#[test]
fn pinned_file_is_fetched_once_unless_damaged() {
    let (world, server, body) = (FetchWorld::new(), Server::new(), bytes(300_000));
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
fn unpinned_file_is_fetched_again_only_when_it_changed() {
    let (world, server) = (FetchWorld::new(), Server::new());
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
    // Without a validator the file is fetched again.
    let address = server.on("/nothing", [Answer::ok(old.clone())]);
    (0..2).for_each(|_| whole(&world.fetch(&[&address], None).unwrap(), &old));
    assert!(server.requests().iter().filter(|r| r.path == "/nothing").all(|r| r.header("if-none-match").is_none()));
    // 304 makes no sense for an unconditional request.
    let odd = server.on("/odd", [Answer::status(304)]);
    assert!(matches!(world.problem(&odd, None), FetchProblem::Unasked { status: 304, .. }));
}

#[test]
fn unproven_end_of_a_body_is_not_cached_as_whole() {
    let (world, server, body) = (FetchWorld::new(), Server::new(), bytes(5000));
    let file = Answer::file(body.clone(), "\"1\"");
    let address = server.on("/a.deb", [file.clone().promising_nothing().cut_after(3000), file]);
    assert_eq!(world.fetch(&[&address], None).unwrap().size, 3000, "nothing says that it was more");
    whole(&world.fetch(&[&address], None).unwrap(), &body);
    let conditions = || server.requests().iter().filter(|r| r.header("if-none-match").is_some()).count();
    assert_eq!(conditions(), 0);
    // A body that marks its own end is complete.
    let chunked = [b"1388\r\n", &body[..], b"\r\n0\r\n\r\n"].concat();
    let chunked = Answer::ok(chunked).promising_nothing().header("Transfer-Encoding", "chunked");
    let address = server.on("/chunked", [chunked.header("ETag", "\"2\"")]);
    for _ in 0..2 {
        whole(&world.fetch(&[&address], None).unwrap(), &body);
    }
    assert_eq!(conditions(), 1);
}

#[test]
fn cut_transfer_resumes_and_says_so() {
    let (world, server, body) = (FetchWorld::new(), Server::new(), bytes(500_000));
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
fn next_process_resumes_a_killed_transfer() {
    let (server, body) = (Server::new(), bytes(200_000));
    let file = Answer::file(body.clone(), "\"1\"").header("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT");
    let once = Patience { tries: 1, ..quick() };
    for (pin, left) in [(Some(sum(&body)), 70_000), (None, 70_000), (Some(sum(&body)), 200_000)] {
        let world = FetchWorld::new();
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
        // Without a sha256 of the whole file, an incomplete last piece proves nothing.
        let from = if pin.is_some() { left.min(body.len() - 1) } else { left / PIECE * PIECE };
        let range = (from > 0).then(|| format!("bytes={from}-"));
        assert_eq!(server.requests().last().unwrap().header("range"), range.as_deref(), "{pin:?} {left}");
        assert!(world.files("partial").is_empty());
    }
}

/// A sum is written after so many bytes.
const PIECE: usize = 64 << 10;

#[test]
fn no_flipped_bit_of_a_partial_download_gets_into_the_file() {
    let (server, body) = (Server::new(), bytes(4 * PIECE));
    let file = Answer::file(body.clone(), "\"1\"");
    let once = Patience { tries: 1, ..quick() };
    // In the first piece, in the third, in an incomplete one; and in the sums of the first and third piece.
    for (name, at, from) in [
        ("", 5, 0),
        ("", 2 * PIECE + 9, 2 * PIECE),
        ("", 3 * PIECE + 1, 3 * PIECE),
        (".sums", 0, 0),
        (".sums", 95, 2 * PIECE),
    ] {
        let world = FetchWorld::new();
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
fn partial_file_from_before_a_reboot_needs_a_checksum() {
    let (server, body) = (Server::new(), bytes(200_000));
    let file = Answer::file(body.clone(), "\"1\"");
    for (pin, range) in [(None, None), (Some(sum(&body)), Some("bytes=50000-"))] {
        let world = FetchWorld::new();
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
fn wrong_range_restarts_the_transfer() {
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
        let (world, server) = (FetchWorld::new(), Server::new());
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
        assert!(world.troubles().iter().any(|t| t.contains("starting over")), "{what}");
        assert!(server.requests().len() <= 3, "{what}");
    }
}

#[test]
fn mixed_parts_under_one_etag_are_fetched_again_whole() {
    let (world, server) = (FetchWorld::new(), Server::new());
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
    assert!(world.troubles().iter().any(|t| t.contains("after resuming") && t.contains(&sum(&new))));
    // If the whole file is wrong too, there is no further try.
    let (world, server) = (FetchWorld::new(), Server::new());
    let address = server.on("/a", lying);
    let found = world.problem(&address, Some(&sum(b"third")));
    assert!(
        matches!(&found, FetchProblem::WrongChecksum { twice: true, found, .. } if *found == sum(&new)),
        "{found:?}"
    );
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn wrong_checksum_is_quarantined_and_never_used() {
    let (world, server, body) = (FetchWorld::new(), Server::new(), bytes(1000));
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
