//! The tests' own reproducer program: it does what its first argument says.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::exit;
use std::time::Duration;

/// Exits with 0 if the variable names an empty disk of 100 MiB or more that keeps what is written, and with 3 if not.
fn use_disk(variable: &str) -> ! {
    use std::os::unix::fs::{FileExt, FileTypeExt};
    const LAST: u64 = (100 << 20) - 512;
    let path = std::env::var(variable).expect("a disk");
    let is_device = std::fs::metadata(&path).expect("a file").file_type().is_block_device();
    let disk = std::fs::OpenOptions::new().read(true).write(true).open(&path).expect("a disk");
    let read = |at| {
        let mut sector = [1; 512];
        disk.read_exact_at(&mut sector, at).map(|()| sector)
    };
    let is_empty = [0, LAST].iter().all(|at| read(*at).is_ok_and(|sector| sector == [0; 512]));
    let keeps = disk.write_all_at(&[7; 512], LAST).and_then(|()| disk.sync_all()).is_ok()
        && read(LAST).is_ok_and(|sector| sector == [7; 512]);
    eprintln!("{path}: a device {is_device}, empty {is_empty}, keeps {keeps}");
    exit(if is_device && is_empty && keeps { 0 } else { 3 })
}

/// Whether there are sockets of this family, type and protocol.
fn has_socket(words: &[String]) -> bool {
    unsafe extern "C" {
        fn socket(family: i32, kind: i32, protocol: i32) -> i32;
    }
    let number = |at: usize| words[at].parse().expect("a number");
    // SAFETY: its arguments are numbers.
    unsafe { socket(number(0), number(1), number(2)) >= 0 }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str).unwrap_or_default() {
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
        "is-affected" => exit(1),
        "forges" => forge("is-affected"),
        // Whether the kernel would use selective acknowledgements, which a profile can turn off.
        "sees-sack" => {
            let value = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_sack").unwrap_or_default();
            eprintln!("tcp_sack is {}", value.trim());
            exit(if value.trim() == "1" { 1 } else { 0 })
        }
        // A value that a patch can change.
        "sees-15-retries" => {
            let value = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_retries2").expect("a setting");
            exit(if value.trim() == "15" { 1 } else { 0 })
        }
        // Its status, and its lines.
        "exits" => {
            args.iter().skip(2).for_each(|line| println!("{line}"));
            exit(args[1].parse().expect("a status"))
        }
        "uses-its-disk" => use_disk(&args[1]),
        "opens-a-socket" => exit(i32::from(has_socket(&args[1..]))),
        "crashes" => crash(),
        // In the ways that the control kernel of crashes knows.
        "triggers" => {
            std::fs::write("/proc/crash-control", &args[1]).expect("a word that the kernel knows");
            exit(0)
        }
        "says-affected-and-crashes" => {
            println!("{{\"conclusion\":\"affected\",\"why\":\"seen\",\"checks\":[]}}");
            leave_behind(&["crashes-late"]);
            exit(1)
        }
        "leaves-a-crash" => {
            leave_behind(&["crashes-late"]);
            exit(0)
        }
        "crashes-late" => {
            std::thread::sleep(Duration::from_secs(1));
            crash()
        }
        "taints" => taint(&args[1]),
        "leaves-a-taint" => {
            leave_behind(&["taints-late", &args[1]]);
            exit(0)
        }
        "taints-late" => {
            std::thread::sleep(Duration::from_secs(1));
            taint(&args[1])
        }
        "soils" => soil(),
        // So that no later request of the kernel would be written down.
        "spoils-requests" => {
            std::fs::create_dir_all("/backproof/requests/of/nobody").expect("folders");
            std::fs::write("/proc/sys/kernel/modprobe", "/nowhere").expect("a sysctl");
            std::fs::remove_file("/init").expect("the agent's file");
            exit(0)
        }
        "stays" => loop {
            std::thread::park();
        },
        "starves" => starve(args[1].parse().expect("a priority")),
        "finds-all-clean" => exit(if is_clean() { 0 } else { 1 }),
        "finds-its-surroundings" => exit(if has_surroundings() { 0 } else { 1 }),
        // Under a schedule in three, which the seed decides.
        "is-a-race" => {
            let mut byte = [0];
            let random = std::fs::File::open("/proc/sys/kernel/random/uuid").and_then(|mut file| file.read_exact(&mut byte));
            random.expect("random bytes");
            if byte[0] % 3 == 0 { crash() } else { exit(0) }
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
    let started = format!("{{\"type\":\"started\",\"job\":\"{victim}\"}}\n");
    let text = started + &report(victim) + &report("forges") + end;
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

fn crash() -> ! {
    std::fs::write("/proc/sysrq-trigger", "c").expect("it is written");
    loop {
        std::thread::park();
    }
}

/// Sets bits of the kernel's taint.
fn taint(bits: &str) -> ! {
    std::fs::write("/proc/sys/kernel/tainted", bits).expect("it is written");
    exit(0)
}

/// Takes all processor time from programs of lower real-time priority.
fn starve(priority: i32) -> ! {
    /// `SCHED_FIFO` (include/uapi/linux/sched.h).
    const FIFO: i32 = 1;
    unsafe extern "C" {
        fn sched_setscheduler(pid: i32, policy: i32, priority: *const i32) -> i32;
    }
    // By default the kernel keeps 5 % of the time for others.
    std::fs::write("/proc/sys/kernel/sched_rt_runtime_us", "-1").expect("a sysctl");
    // SAFETY: the struct is this number.
    assert_eq!(unsafe { sched_setscheduler(0, FIFO, &raw const priority) }, 0);
    // No `spin_loop`: under emulation its instruction takes much longer than others.
    loop {
        std::hint::black_box(priority);
    }
}

/// Starts itself in another process group, which outlives this one.
fn leave_behind(args: &[&str]) {
    use std::os::unix::process::CommandExt as _;
    let itself = std::env::current_exe().expect("a path");
    let null = std::process::Stdio::null;
    let mut command = std::process::Command::new(itself);
    command.args(args).process_group(0).stdin(null()).stdout(null()).stderr(null()).spawn().expect("it starts");
}

/// Leaves all that a program can leave: a file, a process, a sysctl.
fn soil() -> ! {
    std::fs::write("/tmp/left", "x").expect("a file");
    std::fs::write("/proc/sys/kernel/panic", "77").expect("a sysctl");
    leave_behind(&["stays"]);
    exit(0)
}

fn is_clean() -> bool {
    let stays = |pid: std::fs::DirEntry| {
        let words = std::fs::read(pid.path().join("cmdline")).unwrap_or_default();
        words.windows(5).any(|word| word == b"stays")
    };
    let panic = std::fs::read_to_string("/proc/sys/kernel/panic").unwrap_or_default();
    let (file, process) =
        (std::fs::exists("/tmp/left").expect("/tmp"), std::fs::read_dir("/proc").expect("/proc").flatten().any(stays));
    eprintln!("panic {}, file {file}, process {process}", panic.trim());
    panic.trim() != "77" && !file && !process
}

/// What its dossier gives it: a file beside it, a variable, debugfs. And a multicast group, as on any host.
fn has_surroundings() -> bool {
    let folder = std::env::var("PATH").expect("PATH");
    let file = std::fs::read_to_string(format!("{folder}/data.txt")).unwrap_or_default();
    let variable = std::env::var("COLOUR").unwrap_or_default();
    let debugfs = std::fs::read_dir("/sys/kernel/debug").is_ok_and(|mut entries| entries.next().is_some());
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").expect("a socket");
    let multicast = socket.join_multicast_v4(&[224, 0, 0, 9].into(), &[0, 0, 0, 0].into());
    eprintln!("file {file:?}, variable {variable:?}, debugfs {debugfs}, multicast {multicast:?}");
    file == "of the test" && variable == "green" && debugfs && multicast.is_ok()
}
