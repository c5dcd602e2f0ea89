//! The possible problems at one address, with the advice for each.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::kernel::quoted::Quoted;

/// Why an address did not serve the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchProblem {
    /// 404 or 410.
    #[error("the server has no such file (HTTP {0}); check the address")]
    Gone(u16),
    /// Another final status.
    #[error("the server rejected the request (HTTP {status} {reason})")]
    Refused {
        /// The status.
        status: u16,
        /// Its name.
        reason: &'static str,
    },
    /// A temporary status.
    #[error("the server is busy or broken (HTTP {status} {reason}{})", again(*after))]
    Busy {
        /// The status.
        status: u16,
        /// Its name.
        reason: &'static str,
        /// Its Retry-After.
        after: Option<Duration>,
    },
    /// The server could not prove its identity, or doesn't speak TLS.
    #[error(
        "TLS with {host} failed: {detail}; if a proxy intercepts TLS, install its certificate (or name it in \
         SSL_CERT_FILE)"
    )]
    Tls {
        /// The host.
        host: String,
        /// The verifier's message.
        detail: Quoted,
    },
    /// No connection.
    #[error("cannot reach {host}: {detail}; check the address, the network and the proxy")]
    Unreachable {
        /// The host.
        host: String,
        /// Why.
        detail: Quoted,
    },
    /// No connection to or through the proxy.
    #[error(
        "cannot reach {host} through the proxy {proxy} (from {variable}): {detail}; check the variable and the proxy, or add the host to no_proxy"
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
    /// The connection was cut.
    #[error("the connection was cut after {have}: {detail}")]
    Cut {
        /// The received amount: `5 of 10 bytes`.
        have: Amount,
        /// Why.
        detail: Quoted,
    },
    /// An invalid answer.
    #[error("invalid answer: {0}")]
    Garbled(Quoted),
    /// Silence.
    #[error("timed out after {} s waiting for {waiting}", limit.as_secs_f64())]
    TimedOut {
        /// The awaited event.
        waiting: String,
        /// The time limit.
        limit: Duration,
    },
    /// The total time limit.
    #[error("timed out after {} minutes, with {have} received", limit.as_secs_f64() / 60.0)]
    TooSlow {
        /// The received amount.
        have: Amount,
        /// The limit.
        limit: Duration,
    },
    /// Slower than the limit.
    #[error("too slow: {bytes} bytes in {} s, {have} in total", time.as_secs_f64())]
    Crawling {
        /// The received amount.
        have: Amount,
        /// Bytes in that time.
        bytes: u64,
        /// The time.
        time: Duration,
    },
    /// A status that doesn't answer the request.
    #[error("unexpected answer (HTTP {status} {reason})")]
    Unasked {
        /// The status.
        status: u16,
        /// Its name.
        reason: &'static str,
    },
    /// An empty file.
    #[error("the file is empty")]
    Empty,
    /// A web page.
    #[error(
        "got a web page instead of the file{}; a captive portal or a proxy may intercept it: open the address in a browser",
        page(title, via.as_deref())
    )]
    WebPage {
        /// Its title.
        title: Option<Quoted>,
        /// The host that sent it, if it is another one.
        via: Option<String>,
    },
    /// Other bytes.
    #[error(
        "sha256 mismatch: found {found}, expected {expected}; the file is kept for inspection in {} and never used{}",
        kept.display(), if *twice { " (fetching all of it again did not help)" } else { "" }
    )]
    WrongChecksum {
        /// The expected one.
        expected: String,
        /// The one found.
        found: String,
        /// The path of the file.
        kept: PathBuf,
        /// Whether a resumed transfer had been wrong before.
        twice: bool,
    },
    /// Another length than was promised.
    #[error("size mismatch: found {found} bytes, expected {expected}")]
    WrongLength {
        /// The expected one.
        expected: u64,
        /// The one found.
        found: u64,
    },
    /// More than allowed.
    #[error("it is larger than the limit of {limit} bytes")]
    TooLarge {
        /// The most.
        limit: u64,
    },
    /// A redirect that is not followed.
    #[error("the server redirects {0}")]
    Redirect(Quoted),
}

/// The received amount of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    /// Bytes so far.
    pub done: u64,
    /// Total bytes, if known.
    pub total: Option<u64>,
}

impl FetchProblem {
    /// Whether it may be temporary, so that the same server is worth a retry.
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

    /// Whether it is about the file itself, so that the partial file is useless.
    pub(super) fn is_about_content(&self) -> bool {
        matches!(
            self,
            Self::Gone(_) | Self::Empty | Self::WebPage { .. } | Self::WrongLength { .. } | Self::TooLarge { .. }
        )
    }

    /// Whether the server or the network is down, so that a cached copy may be used instead.
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
