//! The proxy that stands between, as far as messages have to name it: the client below reads the same variables, passes
//! over those that it cannot use without a word, and says nothing of a proxy when one cannot be reached.

use std::net::IpAddr;

use url::Url;

/// A proxy of the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proxy {
    /// The variable that names it.
    pub variable: &'static str,
    /// Its host and port, without the user and the password.
    pub host: String,
}

/// A variable that names no proxy. Its value is not shown: there may be a password in it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the variable {0} names no proxy that can be used: expected an address as in http://proxy.example:3128 (http and https \
     are spoken); correct it, or unset it"
)]
pub(super) struct Unusable(&'static str);

impl Proxy {
    /// The one through which the address is asked; none where it is asked itself.
    pub(super) fn of(address: &Url) -> Result<Option<Self>, Unusable> {
        // Tests' clients have none, whatever the machine has.
        if cfg!(test) { Ok(None) } else { Self::among(address, |name| std::env::var(name).ok()) }
    }

    /// The variables' order is the client's: the first that is set counts, also where it is empty.
    fn among(address: &Url, variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, Unusable> {
        let first = |names: [&'static str; 2]| {
            let set = names.into_iter().find_map(|name| Some((name, variable(name)?)));
            set.filter(|(_, value)| !value.is_empty())
        };
        let own =
            if address.scheme() == "https" { ["HTTPS_PROXY", "https_proxy"] } else { ["HTTP_PROXY", "http_proxy"] };
        let Some((variable, value)) = first(own).or_else(|| first(["ALL_PROXY", "all_proxy"])) else { return Ok(None) };
        let host = address.host_str().unwrap_or_default();
        if first(["NO_PROXY", "no_proxy"]).is_some_and(|(_, list)| leaves_out(&list, host)) {
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

/// Whether a list of hosts, domains and networks has the host.
fn leaves_out(list: &str, host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).any(|entry| match address {
        _ if entry == "*" => true,
        Ok(address) => is_in(entry, address),
        Err(_) => {
            let domain = entry.trim_start_matches('.').to_ascii_lowercase();
            host == domain || host.strip_suffix(&domain).is_some_and(|rest| rest.ends_with('.'))
        }
    })
}

/// Whether an address is in a network (`10.0.0.0/8`), or is the one that is named.
fn is_in(network: &str, address: IpAddr) -> bool {
    let (first, bits) = network.split_once('/').map_or((network, None), |(first, bits)| (first, Some(bits)));
    let number = |address| match address {
        IpAddr::V4(v4) => (32, u128::from(v4.to_bits())),
        IpAddr::V6(v6) => (128, v6.to_bits()),
    };
    let Ok(first) = first.parse::<IpAddr>() else { return false };
    let ((width, first), (own, address)) = (number(first), number(address));
    let Ok(bits) = bits.map_or(Ok(width), str::parse::<u32>) else { return false };
    let differs = (first ^ address).checked_shr(width.saturating_sub(bits)).unwrap_or(0);
    width == own && bits <= width && differs == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxy_is_the_one_that_the_client_asks_and_its_password_is_not_told() {
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
    fn hosts_domains_and_networks_are_left_out() {
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
            assert_eq!(leaves_out(list, host), left_out, "{list} {host}");
        }
    }
}
