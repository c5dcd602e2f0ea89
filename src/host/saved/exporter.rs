//! Metrics of Prometheus's node_exporter in its text format: `node_netstat_TcpExt_…` and `node_uname_info`.

use super::identity::{Identity, IdentityKind};
use super::text::bare;
use crate::host::counters::{Absence, TcpExtCounters};

/// The prefix of counters' names.
const COUNTER: &str = "node_netstat_TcpExt_";

/// The counters, if the text has some. node_exporter shows only configured ones (`--collector.netstat.fields`).
pub fn read(text: &str) -> Option<TcpExtCounters> {
    let found: Vec<(&str, u64)> = text.lines().filter_map(|line| counter(bare(line))).collect();
    (!found.is_empty()).then(|| TcpExtCounters::of(found.into_iter(), Absence::Nothing))
}

fn counter(line: &str) -> Option<(&str, u64)> {
    let (name, _, value) = metric(line)?;
    let value: f64 = value.parse().ok()?;
    // A double is exact up to here; a counter that is greater has the same meaning.
    let is_count = value.is_finite() && value >= 0.0 && value.fract() == 0.0;
    is_count.then(|| Some((name.strip_prefix(COUNTER)?, value as u64))).flatten()
}

/// `name{label="value",…} value`: the name, the labels, the value.
fn metric(line: &str) -> Option<(&str, &str, &str)> {
    let name = line.split(['{', ' ', '\t']).next().filter(|name| name.starts_with("node_"))?;
    let rest = &line[name.len()..];
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => inside.rsplit_once('}')?,
        None => ("", rest),
    };
    Some((name, labels, rest.split_whitespace().next()?))
}

fn label(labels: &str, name: &str) -> Option<String> {
    let begin = format!("{name}=\"");
    let at = labels.match_indices(&begin).find(|(at, _)| *at == 0 || labels[..*at].ends_with([',', ' ']))?.0;
    let value = labels[at + begin.len()..].split('"').next()?;
    (!value.is_empty()).then(|| value.chars().take(200).collect())
}

/// Labels that name the host, the most specific first: an `instance` may be one service in front of several hosts.
#[rustfmt::skip]
const HOST_LABELS: &[&str] = &[
    "node", "nodename", "node_name", "kubernetes_node", "exported_node", "hostname", "host_name", "fqdn", "host", "Host",
    "agent_hostname", "machine", "server", "target", "exported_instance", "instance", "pod", "kubernetes_pod_name",
];

/// The hosts that a metric names: in the labels of a counter, and in all of `node_uname_info`.
pub fn hosts(line: &str) -> Vec<Identity> {
    let Some((name, labels, _)) = metric(bare(line)) else { return Vec::new() };
    let short = |name: &str| label(labels, name).filter(|value| value.len() <= 64);
    let called = |names: &[&str]| {
        let node = names.iter().find_map(|name| short(name))?;
        Some(Identity { node: Some(node), kind: IdentityKind::Called, is_alias: true, ..Identity::default() })
    };
    if name != "node_uname_info" {
        return name.starts_with(COUNTER).then(|| called(HOST_LABELS)).flatten().into_iter().collect();
    }
    // These two are the kernel's own here.
    let others: Vec<&str> =
        HOST_LABELS.iter().copied().filter(|name| !["nodename", "machine"].contains(name)).collect();
    let own = Identity {
        release: short("release"),
        build: label(labels, "version"),
        machine: short("machine"),
        node: short("nodename"),
        kind: IdentityKind::Running,
        ..Identity::default()
    };
    [own].into_iter().chain(called(&others)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Count;
    use proptest::prelude::*;

    #[test]
    fn metrics_are_read_with_labels_and_exponents() {
        let text = "# TYPE node_netstat_TcpExt_ListenOverflows untyped\nnode_netstat_TcpExt_ListenOverflows 57\n\
                    node_netstat_TcpExt_SyncookiesSent{instance=\"a:9100\",job=\"node\"} 1.204e+06 1700000000\n\
                    node_netstat_TcpExt_SyncookiesFailed NaN\nnode_netstat_TcpExt_ListenDrops 0.5\n";
        let counters = read(text).expect("counters");
        assert_eq!(counters.get("ListenOverflows"), Count::Is(57));
        assert_eq!(counters.get("SyncookiesSent"), Count::Is(1_204_000));
        for unread in ["SyncookiesRecv", "SyncookiesFailed", "ListenDrops", "TCPWqueueTooBig"] {
            assert_eq!(counters.get(unread), Count::Unknown, "{unread}");
        }
        let info = "node_uname_info{domainname=\"(none)\",machine=\"x86_64\",nodename=\"db1\",release=\"4.19.57\",version=\"#1 SMP\"} 1";
        let found = hosts(info).remove(0);
        assert_eq!((found.release.as_deref(), found.node.as_deref()), (Some("4.19.57"), Some("db1")));
        assert_eq!(read("node_load1 0.5\n"), None);
    }

    #[test]
    fn labels_of_counters_name_their_host() {
        for (labels, expected) in [
            (r#"node="a""#, Some("a")),
            (r#"instance="10.0.0.5:9100",job="x""#, Some("10.0.0.5:9100")),
            (r#"instance="exporter:9100",node="a""#, Some("a")),
            (r#"job="x",kubernetes_node="a",pod="x-1""#, Some("a")),
            (r#"hostname="a""#, Some("a")),
            (r#"job="x",cluster="b""#, None),
        ] {
            let found = hosts(&format!("{COUNTER}SyncookiesSent{{{labels}}} 0"));
            assert_eq!(found.first().and_then(|it| it.node.as_deref()), expected, "{labels}");
        }
        let info = r#"node_uname_info{instance="b:9100",machine="x86_64",nodename="db1",release="4.19.57"} 1"#;
        let names: Vec<_> = hosts(info).into_iter().filter_map(|it| it.node).collect();
        assert_eq!(names, ["db1", "b:9100"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn reading_never_panics(text in "(node_(netstat_TcpExt_|uname_info)[A-Z]?(\\{([a-z]{0,4}=\"?é?\"?,?){0,3}\\}?)? ?[0-9e+.]{0,25}\n?){0,4}") {
            let _ = read(&text);
            text.lines().for_each(|line| drop(hosts(line)));
        }
    }
}
