//! What can go wrong at one address, in words that tell the next step.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::kernel::quoted::Quoted;

/// Why an address did not give the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchProblem {
    /// 404 or 410.
    #[error("the server says that there is no such file (HTTP {0}); check the address")]
    Gone(u16),
    /// Another status that says no.
    #[error("the server refuses it (HTTP {status} {reason})")]
    Refused {
        /// The status.
        status: u16,
        /// What it is called.
        reason: &'static str,
    },
    /// A status that says "not now".
    #[error("the server is busy or broken (HTTP {status} {reason}{})", again(*after))]
    Busy {
        /// The status.
        status: u16,
        /// What it is called.
        reason: &'static str,
        /// How long it asks to wait.
        after: Option<Duration>,
    },
    /// The server could not prove who it is, or speaks no TLS.
    #[error(
        "TLS with {host} failed: {detail}; if a proxy stands between, give its certificate to the system (or in \
         SSL_CERT_FILE)"
    )]
    Tls {
        /// The host.
        host: String,
        /// What the verifier said.
        detail: Quoted,
    },
    /// No connection.
    #[error("{host} cannot be reached: {detail}; check the address, the network and the proxy")]
    Unreachable {
        /// The host.
        host: String,
        /// Why.
        detail: Quoted,
    },
    /// No connection to the proxy, or none through it.
    #[error(
        "{host} cannot be reached through the proxy {proxy} of {variable}: {detail}; check that variable and the proxy, or name the host in no_proxy"
    )]
    NoWayThrough {
        /// The host.
        host: String,
        /// The proxy's host and port.
        proxy: String,
        /// The variable that names it.
        variable: &'static str,
        /// Why.
        detail: Quoted,
    },
    /// The connection ended early.
    #[error("the connection was cut after {have}: {detail}")]
    Cut {
        /// How much is here: `5 of 10 bytes`.
        have: Amount,
        /// Why.
        detail: Quoted,
    },
    /// An answer that is no answer.
    #[error("the answer makes no sense: {0}")]
    Garbled(Quoted),
    /// Nothing came for too long.
    #[error("nothing came for {} s while waiting for {waiting}", limit.as_secs_f64())]
    TimedOut {
        /// What was waited for.
        waiting: String,
        /// How long.
        limit: Duration,
    },
    /// Too slow altogether.
    #[error("it took more than {} minutes, and {have} came", limit.as_secs_f64() / 60.0)]
    TooSlow {
        /// How much is here.
        have: Amount,
        /// The limit.
        limit: Duration,
    },
    /// Too slow for a minute.
    #[error("only {bytes} bytes came within {} s, and {have} in all", time.as_secs_f64())]
    Crawling {
        /// How much is here.
        have: Amount,
        /// What came meanwhile.
        bytes: u64,
        /// How long.
        time: Duration,
    },
    /// A status that answers another question.
    #[error("the server answers what was not asked (HTTP {status} {reason})")]
    Unasked {
        /// The status.
        status: u16,
        /// What it is called.
        reason: &'static str,
    },
    /// Nothing at all, and that is the whole.
    #[error("the file is empty")]
    Empty,
    /// A web page.
    #[error(
        "a web page came instead of the file{}; a captive portal or a proxy may stand between: open the address in a browser",
        page(title, via.as_deref())
    )]
    WebPage {
        /// Its title.
        title: Option<Quoted>,
        /// The host that it came from, where that is another one.
        via: Option<String>,
    },
    /// Other bytes.
    #[error(
        "its sha256 is {found}, expected {expected}; what came is kept aside for inspection in {} and never used{}",
        kept.display(), if *twice { " (a second whole transfer gave the same or another wrong one)" } else { "" }
    )]
    WrongChecksum {
        /// As it should be.
        expected: String,
        /// As it is.
        found: String,
        /// Where the file lies.
        kept: PathBuf,
        /// Whether a resumed transfer had been wrong before.
        twice: bool,
    },
    /// Another length than was promised.
    #[error("it has {found} bytes, expected {expected}")]
    WrongLength {
        /// As it should be.
        expected: u64,
        /// As it is.
        found: u64,
    },
    /// More than allowed.
    #[error("it is larger than {limit} bytes, the most that is taken")]
    TooLarge {
        /// The most.
        limit: u64,
    },
    /// A redirect that is not followed.
    #[error("the server redirects {0}")]
    Redirect(Quoted),
}

/// How much of a file is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    /// Bytes that are here.
    pub done: u64,
    /// Bytes of all of it, where that is known.
    pub total: Option<u64>,
}

impl FetchProblem {
    /// Whether it may be over soon, so that it is worth asking the same server again.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Busy { .. }
            | Self::Unreachable { .. }
            | Self::NoWayThrough { .. }
            | Self::Cut { .. }
            | Self::Garbled(_)
            | Self::TimedOut { .. } => true,
            Self::Gone(_)
            | Self::Refused { .. }
            | Self::Tls { .. }
            | Self::TooSlow { .. }
            | Self::Crawling { .. }
            | Self::Unasked { .. }
            | Self::Empty
            | Self::WebPage { .. }
            | Self::WrongChecksum { .. }
            | Self::WrongLength { .. }
            | Self::TooLarge { .. }
            | Self::Redirect(_) => false,
        }
    }

    /// Whether it is about the file itself, so that what is here of it is of no use.
    pub(super) fn is_about_content(&self) -> bool {
        matches!(
            self,
            Self::Gone(_) | Self::Empty | Self::WebPage { .. } | Self::WrongLength { .. } | Self::TooLarge { .. }
        )
    }

    /// Whether the server, or the way to it, is away: what was fetched earlier may stand in then.
    pub(super) fn is_away(&self) -> bool {
        self.may_pass()
            || matches!(
                self,
                Self::TooSlow { .. }
                    | Self::Crawling { .. }
                    | Self::Unasked { .. }
                    | Self::Empty
                    | Self::Tls { .. }
                    | Self::WebPage { .. }
            )
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.total {
            Some(total) => write!(f, "{} of {total} bytes", self.done),
            None => write!(f, "{} bytes", self.done),
        }
    }
}

fn again(after: Option<Duration>) -> String {
    match after.map(|after| after.as_secs()) {
        None => String::new(),
        Some(seconds) if seconds > 2 * 86_400 => format!(", and asks to retry after {} days", seconds / 86_400),
        Some(seconds) => format!(", and asks to retry after {seconds} s"),
    }
}

fn page(title: &Option<Quoted>, via: Option<&str>) -> String {
    let title = title.as_ref().map(|title| format!(" (“{title}”)")).unwrap_or_default();
    let via = via.map(|host| format!(", from {host}")).unwrap_or_default();
    title + &via
}
