//! Options of the kernel's configuration, as tests of others name them.

use std::collections::BTreeSet;

/// Modules that the kernel would load by itself, if a guest had modprobe.
const MODULES: [(&str, &str); 43] = [
    ("CONFIG_BLK_DEV_LOOP", "loop"),
    ("CONFIG_BLK_DEV_RAM", "brd"),
    ("CONFIG_BRIDGE", "bridge"),
    ("CONFIG_CAN_BCM", "can-bcm"),
    ("CONFIG_CAN_RAW", "can-raw"),
    ("CONFIG_CAN_VCAN", "vcan"),
    ("CONFIG_CRYPTO_GCM", "gcm"),
    ("CONFIG_CRYPTO_USER_API_HASH", "algif_hash"),
    ("CONFIG_CRYPTO_USER_API_SKCIPHER", "algif_skcipher"),
    ("CONFIG_DUMMY", "dummy"),
    ("CONFIG_HWPOISON_INJECT", "hwpoison-inject"),
    ("CONFIG_INET6_ESP", "esp6"),
    ("CONFIG_INET_DIAG", "inet_diag"),
    ("CONFIG_INET_ESP", "esp4"),
    ("CONFIG_INPUT_UINPUT", "uinput"),
    ("CONFIG_IPVLAN", "ipvlan"),
    ("CONFIG_IP_NF_TARGET_REJECT", "ipt_REJECT"),
    ("CONFIG_IP_SCTP", "sctp"),
    ("CONFIG_MACVLAN", "macvlan"),
    ("CONFIG_NETFILTER_XT_MATCH_STATE", "xt_state"),
    ("CONFIG_NET_ACT_PEDIT", "act_pedit"),
    ("CONFIG_NET_CLS_MATCHALL", "cls_matchall"),
    ("CONFIG_NET_CLS_TCINDEX", "cls_tcindex"),
    ("CONFIG_NET_IPGRE", "ip_gre"),
    ("CONFIG_NET_SCH_HTB", "sch_htb"),
    ("CONFIG_NET_SCH_INGRESS", "sch_ingress"),
    ("CONFIG_NET_SCH_NETEM", "sch_netem"),
    ("CONFIG_NF_TABLES", "nf_tables"),
    ("CONFIG_OVERLAY_FS", "overlay"),
    ("CONFIG_QFMT_V2", "quota_v2"),
    ("CONFIG_RDS", "rds"),
    ("CONFIG_RDS_TCP", "rds_tcp"),
    ("CONFIG_SERIO_SERPORT", "serport"),
    ("CONFIG_SQUASHFS", "squashfs"),
    ("CONFIG_TLS", "tls"),
    ("CONFIG_TUN", "tun"),
    ("CONFIG_USERFAULTFD", "userfaultfd"),
    ("CONFIG_VETH", "veth"),
    ("CONFIG_VLAN_8021Q", "8021q"),
    ("CONFIG_VSOCKETS", "vsock"),
    ("CONFIG_VSOCKETS_LOOPBACK", "vsock_loopback"),
    ("CONFIG_VXLAN", "vxlan"),
    ("CONFIG_ZRAM", "zram"),
];

/// The options that an expression requires, as `CONFIG_A=y & CONFIG_B=y|m`. None if it is no conjunction of options that
/// are `y` or `m`.
pub(super) fn required(expression: &str) -> Option<Vec<String>> {
    let mut options = Vec::new();
    for part in expression.split('&').map(str::trim).filter(|part| !part.is_empty()) {
        let choices: Vec<&str> = part.trim_matches(['(', ')']).split('|').map(str::trim).collect();
        let mut name = None;
        for choice in &choices {
            let (option, value) = choice.split_once('=').unwrap_or((choice, "y"));
            match (option, value.trim()) {
                // The second half of `CONFIG_A=y|m`.
                ("y" | "m", _) if name.is_some() => {}
                (option, "y" | "m") if is_option(option.trim()) && name.is_none_or(|name| name == option.trim()) => {
                    name = Some(option.trim());
                }
                _ => return None,
            }
        }
        options.push(name?.to_owned());
    }
    Some(options)
}

/// The options that a fragment of a configuration sets to `y` or `m`.
pub(super) fn fragment(text: &str) -> BTreeSet<String> {
    let set = |line: &str| {
        let (option, value) = line.trim().split_once('=')?;
        (is_option(option) && matches!(value, "y" | "m")).then(|| option.to_owned())
    };
    text.lines().filter_map(set).collect()
}

/// The modules of these options that nobody loads in a guest.
pub(super) fn modules<'a>(options: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let module = |option: &String| MODULES.iter().find(|(name, _)| name == option).map(|(_, module)| *module);
    options.into_iter().filter_map(module).map(str::to_owned).collect()
}

fn is_option(text: &str) -> bool {
    let name = text.strip_prefix("CONFIG_").unwrap_or_default();
    !name.is_empty() && text.len() <= 200 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_conjunctions_of_set_options_are_expressible() {
        for (expression, options) in [
            ("CONFIG_VETH", Some(&["CONFIG_VETH"][..])),
            ("CONFIG_USER_NS=y", Some(&["CONFIG_USER_NS"])),
            ("CONFIG_TUN=y|m", Some(&["CONFIG_TUN"])),
            ("CONFIG_TUN=y | CONFIG_TUN=m", Some(&["CONFIG_TUN"])),
            ("CONFIG_A & CONFIG_B=m", Some(&["CONFIG_A", "CONFIG_B"])),
            ("(CONFIG_A=y|m) & CONFIG_B", Some(&["CONFIG_A", "CONFIG_B"])),
            ("!CONFIG_A", None),
            ("CONFIG_A=n", None),
            ("CONFIG_A=y|n", None),
            ("CONFIG_A | CONFIG_B", None),
            ("CONFIG_HZ=1000", None),
            ("CONFIG_LSM=\"a\"", None),
            ("CONFIG_", None),
            ("y", None),
            ("CONFIG_A CONFIG_B", None),
        ] {
            let expected = options.map(|options| options.iter().map(|&option| option.to_owned()).collect());
            assert_eq!(required(expression), expected, "{expression}");
        }
        let text = "CONFIG_A=y\n CONFIG_B=m \n# CONFIG_C is not set\nCONFIG_D=n\nCONFIG_E=\"x\"\nCONFIG_A=m\n";
        assert_eq!(fragment(text).into_iter().collect::<Vec<_>>(), ["CONFIG_A", "CONFIG_B"]);
        assert_eq!(modules(&["CONFIG_INET".to_owned(), "CONFIG_TUN".to_owned()]), ["tun"]);
    }

    proptest! {
        #[test]
        fn no_expression_makes_the_reader_panic(text in "(CONFIG_[A-Z]{0,3}|[=ymn|&!() ]){0,12}|\\PC{0,40}") {
            for option in required(&text).into_iter().flatten().chain(fragment(&text)) {
                prop_assert!(is_option(&option));
            }
        }
    }
}
