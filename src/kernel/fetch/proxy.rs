//! The proxy, for messages: the HTTP client reads the same variables, silently ignores unusable ones, and does not
//! mention the proxy when it cannot be reached.

use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

/// A proxy of the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proxy {
    /// The variable that names it.
    pub variable: &'static str,
    /// Its host and port, without the user and the password.
    pub host: String,
}

/// A variable without a usable proxy. Its value is not shown, because it may contain a password.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the variable {0} names no proxy that can be used: expected an address as in http://proxy.example:3128 (http and https \
     are spoken); correct it, or unset it"
)]
pub(super) struct Unusable(&'static str);

impl Proxy {
    /// The proxy for an address; none if the host is asked directly.
    pub(super) fn of(address: &Url) -> Result<Option<Self>, Unusable> {
        // Clients in tests never use the machine's proxy.
        if cfg!(test) { Ok(None) } else { Self::among(address, |name| std::env::var(name).ok()) }
    }

    /// In the client's order: the first variable that is set counts, even if it is empty.
    fn among(address: &Url, variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, Unusable> {
        let first = |names: [&'static str; 2]| {
            let set = names.into_iter().find_map(|name| Some((name, variable(name)?)));
            set.filter(|(_, value)| !value.is_empty())
        };
        let own =
            if address.scheme() == "https" { ["HTTPS_PROXY", "https_proxy"] } else { ["HTTP_PROXY", "http_proxy"] };
        let Some((variable, value)) = first(own).or_else(|| first(["ALL_PROXY", "all_proxy"])) else { return Ok(None) };
        if first(["NO_PROXY", "no_proxy"]).is_some_and(|(_, list)| leaves_out(&list, address)) {
            return Ok(None);
        }
        let text = if value.contains("://") { value } else { format!("http://{value}") };
        let proxy = Url::parse(&text).ok().filter(|proxy| matches!(proxy.scheme(), "http" | "https"));
        let proxy = proxy.ok_or(Unusable(variable))?;
        let port = proxy.port_or_known_default().unwrap_or_default();
        let host = format!("{}:{port}", proxy.host_str().ok_or(Unusable(variable))?);
        Ok(Some(Self { variable, host }))
    }
}

/// Whether a list of hosts, domains and networks has the address's host, by the client's own rules.
fn leaves_out(list: &str, address: &Url) -> bool {
    let any = Matcher::builder().all("http://proxy.invalid").no(list).build();
    address.as_str().parse().is_ok_and(|address| any.intercept(&address).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxy_matches_the_client_and_hides_its_password() {
        let (http, https) = ("http://kernel.example/a", "https://10.1.2.3/a");
        let proxy = |variable, host: &str| Ok(Some(Proxy { variable, host: host.to_owned() }));
        for (variables, address, expected) in [
            (&[][..], http, Ok(None)),
            (
                &[("http_proxy", "http://me:secret@proxy.example:3128/")],
                http,
                proxy("http_proxy", "proxy.example:3128"),
            ),
            (&[("http_proxy", "proxy.example:3128")], http, proxy("http_proxy", "proxy.example:3128")),
            (&[("http_proxy", "http://a")], https, Ok(None)),
            (&[("https_proxy", "https://a"), ("all_proxy", "b")], https, proxy("https_proxy", "a:443")),
            (&[("all_proxy", "b")], https, proxy("all_proxy", "b:80")),
            (&[("HTTP_PROXY", "a"), ("http_proxy", "b")], http, proxy("HTTP_PROXY", "a:80")),
            (&[("HTTP_PROXY", ""), ("http_proxy", "b")], http, Ok(None)),
            (&[("http_proxy", "http://me:secret@")], http, Err(Unusable("http_proxy"))),
            (&[("http_proxy", "ftp://a")], http, Err(Unusable("http_proxy"))),
            (&[("all_proxy", "socks5://a")], http, Err(Unusable("all_proxy"))),
            (&[("http_proxy", "ftp://a"), ("no_proxy", "kernel.example")], http, Ok(None)),
        ] {
            let get = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
            let found = Proxy::among(&address.parse().unwrap(), get);
            assert_eq!(found, expected, "{variables:?}");
        }
        assert!(!Unusable("http_proxy").to_string().contains("secret"));
    }

    #[test]
    fn no_proxy_excludes_hosts_domains_and_networks() {
        for (list, host, left_out) in [
            ("kernel.example", "kernel.example", true),
            ("a.example, .example", "kernel.example", true),
            ("ernel.example", "kernel.example", false),
            ("kernel.example", "example", false),
            ("*", "kernel.example", true),
            ("", "kernel.example", false),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("0.0.0.0/0", "11.1.2.3", true),
            ("10.0.0.0/33", "10.0.0.0", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("::1", "[::1]", true),
            ("::/0", "10.1.2.3", false),
        ] {
            let address = format!("https://{host}/a").parse().unwrap();
            assert_eq!(leaves_out(list, &address), left_out, "{list} {host}");
        }
    }
}
