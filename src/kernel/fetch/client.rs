//! The HTTP client: proxies by the usual variables, the system's authorities for TLS, safe redirects only. It explains
//! the errors of the libraries below.

use std::error::Error;
use std::io;
use std::sync::Once;

use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::redirect::{Attempt, Policy};
use rustls::CertificateError;
use tokio::runtime::Runtime;
use url::Url;

use super::error::FetchError;
use super::patience::Patience;
use super::problem::FetchProblem;
use super::proxy::Proxy;
use crate::kernel::quoted::Quoted;

/// The most redirects in a row; browsers follow 20.
const REDIRECTS: usize = 10;

/// Has its own runtime, because each fetch blocks its thread.
pub(super) struct HttpClient {
    runtime: Option<Runtime>,
    http: reqwest::Client,
    /// Whether this system has no CA certificates at all.
    trusts_nobody: bool,
}

impl HttpClient {
    pub(super) fn new(patience: &Patience) -> Result<Self, FetchError> {
        static RING: Once = Once::new();
        // A provider that was installed earlier is fine.
        RING.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| FetchError::NoClient(error.to_string()))?;
        let builder = || {
            // A compressed transfer could not be resumed.
            let plain = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))]);
            let builder = reqwest::Client::builder()
                .user_agent(concat!("backproof/", env!("CARGO_PKG_VERSION")))
                .default_headers(plain)
                .connect_timeout(patience.connect)
                .referer(false)
                .redirect(Policy::custom(redirect));
            #[cfg(test)]
            let builder = builder.no_proxy();
            builder
        };
        let (http, trusts_nobody) = match builder().build() {
            Ok(http) => (Ok(http), false),
            // A system without CA certificates can still fetch files by sha256.
            Err(_) => (builder().tls_certs_only([]).build(), true),
        };
        let http = http.map_err(|error| FetchError::NoClient(deepest(&error)))?;
        Ok(Self { runtime: Some(runtime), http, trusts_nobody })
    }

    /// Runs this to its end.
    pub(super) fn block_on<F: Future>(&self, future: F) -> F::Output {
        match &self.runtime {
            Some(runtime) => runtime.block_on(future),
            None => unreachable!("the runtime is taken when this is dropped, and not before"),
        }
    }

    pub(super) fn get(&self, address: &Url, headers: HeaderMap) -> reqwest::RequestBuilder {
        self.http.get(address.clone()).headers(headers)
    }

    /// The meaning of an error before the first byte of an answer.
    pub(super) fn refused(&self, address: &Url, error: &reqwest::Error) -> FetchProblem {
        let at = error.url().unwrap_or(address);
        let host = at.host_str().unwrap_or_default().to_owned();
        let detail = || Quoted::of(deepest(error).as_bytes());
        if error.is_redirect() {
            return FetchProblem::Redirect(detail());
        }
        if let Some(tls) = cause::<rustls::Error>(error) {
            let nobody = if self.trusts_nobody { "this system has no CA certificates: " } else { "" };
            return FetchProblem::Tls { host, detail: Quoted::of(format!("{nobody}{}", tls_words(tls)).as_bytes()) };
        }
        if !matches!(at.scheme(), "http" | "https") {
            return FetchProblem::Redirect(Quoted::of(format!("to {at}, which is neither http nor https").as_bytes()));
        }
        if !error.is_connect() && !error.is_dns() && cause::<io::Error>(error).is_none() {
            return FetchProblem::Garbled(detail());
        }
        match Proxy::of(at) {
            Ok(Some(Proxy { variable, host: proxy })) => {
                FetchProblem::NoWayThrough { host, proxy, variable, detail: detail() }
            }
            _ => FetchProblem::Unreachable { host, detail: detail() },
        }
    }
}

impl Drop for HttpClient {
    fn drop(&mut self) {
        // A name lookup runs on a thread that cannot be stopped; don't wait for it.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Follows a redirect, unless it is unsafe or one too many.
fn redirect(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let next = attempt.url();
    let was_secure = attempt.previous().iter().any(|address| address.scheme() == "https");
    let shown = Quoted::of(next.as_str().as_bytes());
    if !matches!(next.scheme(), "http" | "https") {
        return attempt.error(format!("to {shown}, which is neither http nor https"));
    }
    if was_secure && next.scheme() == "http" {
        return attempt.error(format!("from https to {shown}, which is not secure"));
    }
    if attempt.previous().len() > REDIRECTS {
        return attempt.error(format!("more than {REDIRECTS} times, at last to {shown}"));
    }
    attempt.follow()
}

/// The TLS error in plain words, because rustls has terse names for it.
fn tls_words(error: &rustls::Error) -> String {
    let rustls::Error::InvalidCertificate(why) = error else { return error.to_string() };
    let words = match why {
        CertificateError::UnknownIssuer => "is signed by an authority that this system does not trust",
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet; check this host's clock"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => "is for another host",
        CertificateError::Revoked => "has been revoked",
        CertificateError::BadSignature => "has a wrong signature",
        CertificateError::BadEncoding => "cannot be read",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => "is not for a server",
        // webpki's name for a certificate that may sign others, as `openssl req -x509` makes it.
        CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => "is self-signed",
        _ => return "the server's certificate is rejected by this system's rules".to_owned(),
    };
    format!("the server's certificate {words}")
}

/// The first error of this kind among an error's causes.
fn cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = below(error);
    }
    None
}

/// An error's cause. An io::Error's own `source` skips the error that it holds.
fn below<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(held) => Some(held),
        None => error.source(),
    }
}

/// The last cause's message: those above only say that something failed.
pub(super) fn deepest(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(next) = below(error) {
        error = next;
    }
    error.to_string()
}
