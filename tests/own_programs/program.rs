//! The tests' own reproducer program: it does what its file's name says.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::exit;
use std::time::Duration;

fn main() {
    let path = std::env::args().next().unwrap_or_default();
    match path.rsplit('/').next().unwrap_or_default() {
        "says-affected" => conclude(1, "affected", "yes", "negative", "no"),
        "says-not-affected" => conclude(0, "not-affected", "no", "positive", "yes"),
        "may-be-blind" => conclude(0, "not-affected", "no", "negative", "no"),
        "its-control-fails" => conclude(0, "not-affected", "no", "negative", "yes"),
        "contradicts-itself" => conclude(1, "not-affected", "no", "negative", "no"),
        "exits-with-0" => exit(0),
        "exits-with-2" => exit(2),
        "hangs" => loop {
            std::thread::park();
        },
        "prints-rubbish" => {
            println!("testing... all is well");
            exit(0)
        }
        "is-killed" => std::process::abort(),
        "floods" => loop {
            println!("{}", "x".repeat(1000));
        },
        "talks-over-loopback" => talk(),
        // Late, so that somebody else can report before it.
        "is-affected" => {
            std::thread::sleep(Duration::from_secs(3));
            exit(1)
        }
        "forges" => forge("is-affected"),
        // Whether the kernel would use selective acknowledgements, which a profile can turn off.
        "sees-sack" => {
            let value = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_sack").unwrap_or_default();
            eprintln!("tcp_sack is {}", value.trim());
            exit(if value.trim() == "1" { 1 } else { 0 })
        }
        other => {
            eprintln!("{other} is nothing that this program knows");
            exit(3)
        }
    }
}

/// Reports over the agent's port that the victim and itself pass, and that all is done, and restarts the machine.
fn forge(victim: &str) -> ! {
    // The agent says first that the jobs have started.
    std::thread::sleep(Duration::from_millis(500));
    let report = |job: &str| {
        format!(
            "{{\"type\":\"report\",\"job\":\"{job}\",\"conclusion\":\"not-affected\",\"why\":\"forged\",\"checks\":[],\"took_ms\":1}}\n"
        )
    };
    let end = "{\"type\":\"end\",\"reports\":2}\n";
    let text = report(victim) + &report("forges") + end;
    let mut port = std::fs::OpenOptions::new().write(true).open("/dev/ttyS1").expect("the agent's port");
    port.write_all(text.as_bytes()).expect("it is written");
    // The port's buffer must be sent.
    std::thread::sleep(Duration::from_secs(1));
    std::fs::write("/proc/sysrq-trigger", "b").expect("the machine restarts");
    loop {
        std::thread::park();
    }
}

fn conclude(code: i32, conclusion: &str, recipe: &str, control: &str, shown: &str) -> ! {
    println!(
        "{{\"conclusion\":\"{conclusion}\",\"why\":\"3 of 40 bytes were lost\",\"checks\":[\
         {{\"name\":\"recipe\",\"role\":\"recipe\",\"shown\":\"{recipe}\",\"why\":\"it was tried\",\"facts\":{{\"lost_bytes\":3}}}},\
         {{\"name\":\"control\",\"role\":\"{control}-control\",\"shown\":\"{shown}\",\"why\":\"it was tried\"}}]}}"
    );
    exit(code)
}

/// Its namespace has a loopback interface that is up, and nothing else.
fn talk() -> ! {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let mut client = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
    let (mut server, _) = listener.accept().expect("a client");
    client.write_all(b"hello").expect("it is sent");
    let mut heard = [0; 5];
    server.read_exact(&mut heard).expect("it is received");
    let interfaces = std::fs::read_to_string("/proc/net/dev").expect("interfaces");
    let alone = interfaces.lines().skip(2).all(|line| line.trim().starts_with("lo:"));
    exit(if heard == *b"hello" && alone { 0 } else { 3 })
}
