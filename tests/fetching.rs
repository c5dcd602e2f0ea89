//! Kernels from addresses: fetched from servers of every kind, by many processes at once, and after a kill.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use sha2::{Digest, Sha256};

mod common;
use common::server::{Answer, Server};
use common::{Lab, Ran, stalling_package};

const STALL: &str = "tcp-fragment-stall";

fn sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `affected` with its own cache, and without this machine's proxies.
fn ask(lab: &Lab, args: &[&str]) -> Command {
    let cache = lab.path("cache");
    let cache = cache.to_str().expect("UTF-8");
    let mut command =
        lab.command(&[&["affected", "--bug", STALL, "--format", "json", "--cache", cache], args].concat());
    without_proxies(&mut command);
    command
}

fn without_proxies(command: &mut Command) -> &mut Command {
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command
}

fn asked(lab: &Lab, args: &[&str]) -> (Ran, Value) {
    let ran = Ran::of(ask(lab, args).output().expect("the program starts"));
    let document: Value = serde_json::from_str(&ran.stdout).unwrap_or(Value::Null);
    (ran, document["subjects"][0].clone())
}

fn text<'a>(subject: &'a Value, field: &str) -> &'a str {
    subject[field].as_str().unwrap_or_else(|| panic!("no {field} in {subject:#}"))
}

#[test]
fn address_is_answered_like_its_file() {
    let (lab, server, package) = (Lab::new(), Server::new(), stalling_package(1000));
    let address = server.on("/linux-image.deb", [Answer::file(package.clone(), "\"1\"")]);
    let file = lab.write("here.deb", &package);
    let (_, here) = asked(&lab, &[file.to_str().expect("UTF-8")]);
    let with_sum = format!("{address}#sha256={}", sum(&package));
    for subject in [&address, &with_sum] {
        let (ran, there) = asked(&lab, &[subject]);
        assert_eq!(ran.code, 3, "{}", ran.stderr);
        assert_eq!(there["bugs"], here["bugs"]);
        assert_eq!(text(&there, "subject"), subject);
        let understood = text(&there, "understood");
        assert!(understood.contains(&address) && understood.contains(&sum(&package)), "{understood}");
        assert!(understood.ends_with(text(&here, "understood")), "{understood}");
    }
    let (_, offline) = asked(&lab, &["--offline", &with_sum]);
    assert_eq!((&offline["bugs"], offline.get("stale")), (&here["bugs"], None));
    let (_, kept) = asked(&lab, &["--offline", &address]);
    assert_eq!(kept["stale"]["why"], "offline mode");
    assert!(kept["stale"]["seconds"].as_u64().is_some_and(|seconds| seconds < 600), "{kept:#}");
    // A cached file with a known sha256 causes no request; by its address, the server is only asked whether it changed.
    assert_eq!(server.requests().len(), 1, "{:?}", server.requests());

    let (ran, wrong) = asked(&lab, &[&format!("{address}#sha256={}", "0".repeat(64))]);
    assert_eq!(ran.code, 3);
    assert!(text(&wrong, "problem").contains(&sum(&package)) && text(&wrong, "problem").contains("quarantine"));
    let cut = server.on("/cut.deb", [Answer::file(&package[..500], "\"1\"")]);
    // An address that nothing can be fetched from is bad usage.
    for (subject, code, says) in [
        (cut.clone(), 3, format!("{cut} is truncated").as_str()),
        (server.at("/gone"), 3, "HTTP 404"),
        (format!("{address}#sha256=1"), 2, "64 hexadecimal digits"),
        ("https://me:secret@kernel.example/a.deb".to_owned(), 2, "without user"),
    ] {
        let (ran, answer) = asked(&lab, &[&subject]);
        assert_eq!(ran.code, code, "{subject}");
        assert!(text(&answer, "problem").contains(says), "{answer:#}");
    }
    let (_, absent) = asked(&lab, &["--offline", &server.at("/never-seen")]);
    assert!(text(&absent, "problem").contains("--offline"), "{absent:#}");
}

#[test]
fn killed_transfer_is_resumed() {
    let (lab, server, package) = (Lab::new(), Server::new(), stalling_package(3_000_000));
    let file = Answer::file(package.clone(), "\"1\"");
    let address = server.on("/a.deb", [file.clone().stall_after(2_000_000), file]);
    let subject = format!("{address}#sha256={}", sum(&package));
    let mut child = ask(&lab, &[&subject]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts");
    let mut stderr = BufReader::new(child.stderr.take().expect("stderr"));
    let mut line = String::new();
    stderr.read_line(&mut line).expect("a line");
    assert!(line.starts_with("fetching a.deb"), "{line}");
    let data = wait_for(&lab.path("cache/partial"), 2_000_000);
    child.kill().expect("it is killed");
    child.wait().expect("it ends");
    assert_eq!(fs::read(&data).expect("what came"), package[..2_000_000]);
    let (ran, answer) = asked(&lab, &[&subject]);
    assert_eq!((ran.code, answer["problem"].is_null()), (3, true), "{answer:#}");
    let ranges: Vec<_> = server.requests().iter().map(|r| r.header("range").map(str::to_owned)).collect();
    assert_eq!(ranges, [None, Some("bytes=2000000-".to_owned())]);
}

#[test]
fn interrupted_run_ends_and_its_transfer_resumes() {
    let (server, package) = (Server::new(), stalling_package(3_000_000));
    let file = Answer::file(package.clone(), "\"1\"");
    let address = server.on("/a.deb", [file.clone().stall_after(2_000_000), file]);
    let lab = Lab::with_matrix(&format!(
        "bugs: [{STALL}]\nkernels:\n  - name: far\n    url: {{ address: \"{address}\", sha256: trust-on-first-use }}\n"
    ));
    let cache = lab.path("cache");
    let mut run = lab.command(&["run", "--accel", "tcg", "--cache", cache.to_str().expect("UTF-8")]);
    let run = without_proxies(&mut run).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    wait_for(&lab.path("cache/partial"), 2_000_000);
    let pid = nix::unistd::Pid::from_raw(run.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).expect("it is interrupted");
    let began = Instant::now();
    Ran::of(run.wait_with_output().expect("it ends")).ends_with(130).says(&["fetching a.deb"]);
    // Waiting for the server would have taken much longer.
    assert!(began.elapsed() < Duration::from_secs(15));
    let (ran, answer) = asked(&lab, &[&address]);
    assert!(answer["problem"].is_null(), "{answer:#}");
    ran.says(&["resuming a.deb"]);
    assert_eq!(
        server.requests().last().and_then(|r| r.header("range").map(str::to_owned)).as_deref(),
        // Without a sha256, from the last whole piece on.
        Some(format!("bytes={}-", 2_000_000 >> 16 << 16).as_str())
    );
}

/// The one file in the folder that has so many bytes, as soon as it has.
fn wait_for(folder: &Path, bytes: u64) -> std::path::PathBuf {
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.metadata().is_ok_and(|found| found.len() == bytes) {
                return entry.path();
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("no file in {} has {bytes} bytes", folder.display());
}

#[test]
fn processes_that_want_the_same_file_at_once_fetch_it_once() {
    let (lab, server, package) = (Lab::new(), Server::new(), stalling_package(400_000));
    let slow = Answer::file(package.clone(), "\"1\"").slowly(40_000, Duration::from_millis(20));
    let subject = format!("{}#sha256={}", server.on("/a.deb", [slow]), sum(&package));
    let start = || ask(&lab, &[&subject]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let children: Vec<_> = (0..3).map(|_| start()).collect();
    for child in children {
        let ran = Ran::of(child.wait_with_output().expect("it ends"));
        assert_eq!(ran.code, 3, "{}", ran.stdout);
    }
    assert_eq!(server.requests().len(), 1);
}

/// An authority, in a file as SSL_CERT_FILE takes it, and who it says that localhost is.
fn trusted_identity(lab: &Lab) -> (std::path::PathBuf, Arc<rustls::ServerConfig>) {
    let mut of_authority = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
    of_authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().expect("a key");
    let authority = of_authority.self_signed(&key).expect("a certificate");
    let file = lab.write("authority.pem", authority.pem());
    let issuer = rcgen::Issuer::new(of_authority, key);
    let own = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    let certificate = params.signed_by(&own, &issuer).expect("a certificate");
    let key = rustls::pki_types::PrivateKeyDer::try_from(own.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("TLS").with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key);
    (file, Arc::new(config.expect("an identity")))
}

#[test]
fn https_is_verified_and_never_downgraded() {
    let (lab, package) = (Lab::new(), stalling_package(1000));
    let (authority, identity) = trusted_identity(&lab);
    let (server, plain) = (Server::with_tls(identity), Server::new());
    let address = server.on("/a.deb", [Answer::ok(package.clone())]);
    let down = server.on("/down", [Answer::redirect(&plain.on("/a.deb", [Answer::ok(package.clone())]))]);
    let around = server.on("/around", [Answer::redirect("/a.deb")]);
    let trusting = |subject: &str| {
        let ran = Ran::of(ask(&lab, &[subject]).env("SSL_CERT_FILE", &authority).output().expect("it starts"));
        let document: Value = serde_json::from_str(&ran.stdout).unwrap_or(Value::Null);
        document["subjects"][0].clone()
    };
    assert!(trusting(&address)["problem"].is_null(), "{:#}", trusting(&address));
    assert!(trusting(&around)["problem"].is_null(), "{:#}", trusting(&around));
    let refused = trusting(&down);
    assert!(text(&refused, "problem").contains("from https to http://"), "{refused:#}");
    assert!(plain.requests().is_empty());
    // Without the authority, the server is untrusted.
    let (ran, answer) = asked(&Lab::new(), &[&address]);
    assert_eq!(ran.code, 3);
    assert!(text(&answer, "problem").contains("TLS with localhost failed"), "{answer:#}");
}

#[test]
fn only_the_matching_proxy_of_the_environment_is_used() {
    let (lab, proxy, package) = (Lab::new(), Server::new(), stalling_package(1000));
    // A proxy is asked for the whole address.
    proxy.on("http://kernel.example/a.deb", [Answer::ok(package.clone())]);
    let through = |no_proxy: &str| {
        let mut command = ask(&lab, &["http://kernel.example/a.deb"]);
        command.env("http_proxy", proxy.at("")).env("no_proxy", no_proxy);
        command
    };
    let ran = Ran::of(through("").output().expect("it starts"));
    assert_eq!(ran.code, 3, "{}", ran.stdout);
    assert_eq!(proxy.requests().len(), 1);
    // The message names a proxy that is down, but not its password. An unusable proxy is an error, and is not bypassed.
    for (variable, says) in [
        ("http://me:secret@127.0.0.1:1", &["the proxy 127.0.0.1:1 (from http_proxy)"][..]),
        ("socks5://me:secret@127.0.0.1", &["the variable http_proxy names no proxy"]),
    ] {
        let mut command = ask(&lab, &["http://kernel.example/other.deb"]);
        let ran = Ran::of(command.env("http_proxy", variable).output().expect("it starts"));
        assert_eq!(ran.code, 3, "{}", ran.stdout);
        assert!(says.iter().all(|says| ran.stdout.contains(says)) && !ran.stdout.contains("secret"), "{}", ran.stdout);
    }
    // The process is killed at once, because a resolver may take long to find out that this host is unknown.
    let mut child = through("kernel.example").stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts");
    let mut first = [0];
    let _ = child.stderr.take().expect("stderr").read(&mut first);
    let _ = child.kill();
    child.wait().expect("it ends");
    assert_eq!(proxy.requests().len(), 1);
}
