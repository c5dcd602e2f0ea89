//! One trial: a connection whose first bytes come late, and its observations.

use super::family::Family;

/// The server's answer to a SYN in a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cookies {
    /// With a cookie.
    Sent,
    /// With a cookie. Cookies are turned off before the first data arrives.
    TurnedOff,
    /// Without a cookie.
    Never,
}

impl Cookies {
    /// The value of `net.ipv4.tcp_syncookies` for this.
    pub fn sysctl(self) -> &'static str {
        if self == Self::Never { "0" } else { "2" }
    }
}

/// One connection whose first `k` bytes come late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CookieTrial {
    /// Address family.
    pub family: Family,
    /// The MSS that the client offers.
    pub mss: u16,
    /// The number of bytes that are missing at first, and sent after the rest.
    pub k: u32,
    /// The server's answer to the SYN.
    pub cookies: Cookies,
}

impl CookieTrial {
    /// Its name in the report.
    pub fn name(&self) -> String {
        let family = if self.family == Family::V4 { "" } else { " ipv6" };
        let cookies = match self.cookies {
            Cookies::Sent => "",
            Cookies::TurnedOff => " cookies-turned-off",
            Cookies::Never => " no-cookies",
        };
        format!("k={} mss={}{family}{cookies}", self.k, self.mss)
    }
}

/// The observations of a trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieObservation {
    /// Its end.
    pub ending: TrialEnding,
    /// The connection that was accepted in the end. If the first data was refused, the whole data was sent after that.
    pub taken: Option<Taken>,
    /// The growth of SyncookiesSent; none if the kernel lacks the counter.
    pub sent: Option<i64>,
    /// The growth of SyncookiesRecv.
    pub received: Option<i64>,
    /// The growth of SyncookiesFailed.
    pub failed: Option<i64>,
}

/// A connection that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The data that the server application read until the end of the stream.
    pub data: Vec<u8>,
    /// Its send MSS in bytes, which the cookie carried.
    pub snd_mss: u32,
}

/// The end of a trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrialEnding {
    /// The kernel answered the first data with an RST.
    Refused,
    /// The connection was accepted; the server application read this until the end of the stream.
    Read(Vec<u8>),
}

/// A trial and its observations, or why it could not be carried out.
pub type Tried = (CookieTrial, Result<CookieObservation, String>);
