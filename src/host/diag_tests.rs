use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use proptest::prelude::*;

use super::super::socket::Complaint;
use super::*;

fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend((16 + body.len() as u32).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend(body);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend((4 + value.len() as u16).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// The stuck connection of the public report, as `sock_diag` would give it.
fn stuck() -> Vec<u8> {
    let mut body = vec![0; 72];
    body[0] = 2;
    body[1] = 1;
    body[2] = 1;
    body[4..6].copy_from_slice(&3306_u16.to_be_bytes());
    body[6..8].copy_from_slice(&40_000_u16.to_be_bytes());
    body[8..12].copy_from_slice(&[10, 0, 0, 1]);
    body[24..28].copy_from_slice(&[10, 0, 0, 2]);
    body[52..56].copy_from_slice(&12_000_u32.to_ne_bytes());
    body[60..64].copy_from_slice(&21_984_u32.to_ne_bytes());
    body[68..72].copy_from_slice(&4711_u32.to_ne_bytes());
    let mut info = vec![0; 104];
    info[2] = 7;
    info[4] = 7;
    info[8..12].copy_from_slice(&37_760_000_u32.to_ne_bytes());
    info[44..48].copy_from_slice(&60_000_u32.to_ne_bytes());
    let memory: Vec<u8> = [0, 16384, 0, 8192, 1896, 22680, 0, 0, 0].into_iter().flat_map(u32::to_ne_bytes).collect();
    body.extend(attribute(INFO, &info));
    body.extend(attribute(99, b"x"));
    body.extend(attribute(SKMEMINFO, &memory));
    body
}

#[test]
fn reported_stuck_connection_is_silent() {
    let mut sockets = Sockets::new(SocketSource::SockDiag);
    let mut bytes = message(BY_FAMILY, INTERRUPTED, &stuck());
    bytes.extend(message(DONE, 0, &[0; 4]));
    assert_eq!(parse(&bytes, &mut sockets).expect("parses"), DumpProgress::Finished);
    let found = sockets.with(Complaint::Silent).next().expect("one that is silent");
    assert_eq!((found.local.as_str(), found.remote.as_str()), ("10.0.0.1:3306", "10.0.0.2:40000"));
    assert_eq!((found.wmem_queued, found.sndbuf, found.rto_ms), (Some(22680), Some(8192), Some(37_760)));
    assert_eq!((found.backoff, found.inode), (Some(7), Some(4711)));
}

#[test]
fn error_gives_errno_and_truncation_is_rejected() {
    let mut sockets = Sockets::new(SocketSource::SockDiag);
    let error = parse(&message(ERROR, 0, &(-2_i32).to_ne_bytes()), &mut sockets).expect_err("an errno");
    assert_eq!(error.raw_os_error(), Some(2));
    let whole = message(BY_FAMILY, 0, &stuck());
    for bad in [&[][..], &whole[..15], &whole[..40], &message(BY_FAMILY, 0, &[0; 71]), &[0; 16]] {
        let error = parse(bad, &mut sockets).expect_err("not an answer");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{bad:?}");
    }
    assert_eq!(sockets.connections, 0);
}

#[test]
fn request_has_its_stated_length() {
    let bytes = request(2);
    assert_eq!((bytes.len(), u32_at(&bytes, 0)), (72, Some(72)));
}

#[test]
fn real_connection_is_listed_by_this_kernel() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let mut client = TcpStream::connect(listener.local_addr().expect("an address")).expect("connects");
    let (mut server, _) = listener.accept().expect("accepts");
    client.write_all(b"x").expect("writes");
    server.read_exact(&mut [0]).expect("reads");
    let sockets = match connections() {
        Ok(sockets) => sockets,
        // A kernel without it is the reason for the reader of /proc.
        Err(error) if matches!(error.raw_os_error(), Some(2 | 93)) => return,
        Err(error) => panic!("{error}"),
    };
    assert!(sockets.connections >= 2, "{sockets:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn arbitrary_bytes_are_parsed_or_rejected(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&bytes, &mut Sockets::new(SocketSource::SockDiag));
        let _ = parse(&message(BY_FAMILY, 0, &bytes), &mut Sockets::new(SocketSource::SockDiag));
        let _ = connection(&bytes);
    }

    #[test]
    fn damaged_answer_is_parsed_or_rejected(at in 0_usize..250, value in any::<u8>()) {
        let mut bytes = message(BY_FAMILY, 0, &stuck());
        let at = at % bytes.len();
        bytes[at] = value;
        let _ = parse(&bytes, &mut Sockets::new(SocketSource::SockDiag));
    }
}
