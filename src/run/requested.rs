//! What a cell says of modules that its kernel requested and did not get.

use super::settle::Settlement;
use crate::evidence::Finding;
use crate::verdict::Boots;

impl Settlement {
    /// The same, telling of requested modules: the bug may not show only because the guest lacks them.
    pub(super) fn telling_requests(self) -> Self {
        let boots = without_modules(self.boots, &self.requested);
        Self { boots, ..self }
    }
}

/// The most requested modules to name.
const REQUESTED_NAMED: usize = 5;

fn without_modules(boots: Boots, requested: &[String]) -> Boots {
    let requested: Vec<&str> = requested.iter().map(String::as_str).filter(|name| is_module(name, requested)).collect();
    if requested.is_empty() || matches!(&boots, Boots::Showed(finding) if finding.is_affected()) {
        return boots;
    }
    let named = requested.get(..REQUESTED_NAMED).unwrap_or(&requested).join(", ");
    let more = if requested.len() > REQUESTED_NAMED { " …" } else { "" };
    remarked(boots, &format!("; the kernel requested modules that this guest did not have: {named}{more}"))
}

/// These boots with a remark. Lines of the console may follow the reason of a broken one.
fn remarked(boots: Boots, remark: &str) -> Boots {
    let with = |why: String| match why.split_once('\n') {
        Some((first, rest)) => format!("{first}{remark}\n{rest}"),
        None => why + remark,
    };
    match boots {
        Boots::Showed(finding) => Boots::Showed(Finding { why: with(finding.why), ..finding }),
        Boots::Inapplicable { reason, allowed } => Boots::Inapplicable { reason: with(reason), allowed },
        Boots::Broke(reason) => Boots::Broke(with(reason)),
        other => other,
    }
}

/// Network interfaces for which modules have an alias (`MODULE_ALIAS_NETDEV`).
const INTERFACES: [&str; 9] =
    ["sit0", "tunl0", "gre0", "gretap0", "erspan0", "ip6tnl0", "ip6gre0", "ip_vti0", "ip6_vti0"];

/// Whether a request can be of a module. For an interface that is not there, the kernel requests `netdev-NAME` and then `NAME`
/// (`dev_load` of net/core/dev_ioctl.c); of an algorithm made of others it requests the whole, too, as `crypto-xts(aes)`.
fn is_module(name: &str, requested: &[String]) -> bool {
    if let Some(interface) = name.strip_prefix("netdev-") {
        return INTERFACES.contains(&interface);
    }
    let is_interface = requested.iter().any(|other| other.strip_prefix("netdev-") == Some(name));
    !is_interface && !name.contains('(')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{StateSet, Strength, Witness};

    /// What a cell says after requests of the kernel for these modules.
    fn told(boots: Boots, requested: &[&str]) -> String {
        let requested: Vec<String> = requested.iter().map(|&name| name.to_owned()).collect();
        match without_modules(boots, &requested) {
            Boots::Showed(finding) => finding.why,
            Boots::Broke(why) | Boots::Inapplicable { reason: why, .. } => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn silence_without_requested_modules_is_told() {
        let showed = |states| Boots::Showed(Finding::new(Witness::Runtime, states, Strength::Weak, "ended"));
        let silent = || showed(StateSet::not_affected());
        let lacking = "; the kernel requested modules that this guest did not have: ";
        assert_eq!(told(silent(), &["net-pf-21"]), format!("ended{lacking}net-pf-21"));
        assert_eq!(told(silent(), &["a", "b", "c", "d", "e", "f"]), format!("ended{lacking}a, b, c, d, e …"));
        assert_eq!(told(Boots::Broke("broke".to_owned()), &["fs-x"]), format!("broke{lacking}fs-x"));
        let skip = Boots::Inapplicable { reason: "TCONF".to_owned(), allowed: false };
        assert_eq!(told(skip, &["fs-x"]), format!("TCONF{lacking}fs-x"));
        // A bug that showed needed none of them.
        assert_eq!(told(showed(StateSet::affected()), &["net-pf-21"]), "ended");
        // Names of interfaces are no modules.
        assert_eq!(told(silent(), &["netdev-dummy0", "dummy0"]), "ended");
        assert_eq!(told(silent(), &["netdev-nr0", "nr0", "rtnl-link-vcan"]), format!("ended{lacking}rtnl-link-vcan"));
        assert_eq!(told(silent(), &["netdev-sit0", "sit0", "crypto-xts(aes)"]), format!("ended{lacking}netdev-sit0"));
        assert_eq!(told(silent(), &[]), "ended");
        // Lines of the console follow a broken boot's reason.
        assert_eq!(
            told(Boots::Broke("it died\n[ 1.0] last".to_owned()), &["a"]),
            format!("it died{lacking}a\n[ 1.0] last")
        );
    }
}
