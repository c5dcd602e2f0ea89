//! Known workarounds for a bug, whether they help or not.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use super::super::fields;
use super::super::problems::Collector;
use super::super::tree::YamlNode;
use super::reproducer::{ProgramSource, ReproducerSpec};
use crate::words::ProfileName;

/// The keys of a mitigation.
pub(super) const KEYS: [&str; 7] = ["profile", "says", "sysctls", "modules", "config", "cmdline", "holds"];

/// The keys of measures; a mitigation has exactly one.
const MEASURES: [&str; 4] = ["sysctls", "modules", "config", "cmdline"];

/// Blocks loading, but unloads nothing, so the code may already be loaded.
const MODULES_DISABLED: &str = "kernel.modules_disabled";

/// A workaround for a bug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mitigation {
    /// The measure.
    pub measure: Measure,
    /// Its effect, in one sentence.
    pub says: String,
    /// Whether it keeps the bug from showing. If false, an affected kernel still shows the bug.
    pub holds: bool,
}

/// The measure of a mitigation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Sysctls to set, as a profile for this bug, which a run can try.
    Sysctls {
        /// The profile's name.
        profile: ProfileName,
        /// Name, with dots, to value.
        sysctls: BTreeMap<String, String>,
    },
    /// Modules that must not be loaded.
    Modules(Vec<String>),
    /// Options (`CONFIG_…`) to build the kernel without.
    Config(Vec<String>),
    /// Parameters to boot the kernel with.
    Cmdline(String),
}

impl fmt::Display for Measure {
    /// The instruction for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sysctls { sysctls, .. } => {
                let settings: Vec<String> = sysctls.iter().map(|(name, value)| format!("{name}={value}")).collect();
                f.write_str(&settings.join(" "))
            }
            Self::Modules(modules) => {
                let lines: Vec<String> =
                    modules.iter().map(|module| format!("`install {module} /bin/false`")).collect();
                write!(f, "{} in /etc/modprobe.d/, and `rmmod {}`", lines.join(", "), modules.join(" "))
            }
            Self::Config(options) => write!(f, "a kernel built without {}", options.join(", ")),
            Self::Cmdline(words) => write!(f, "boot with `{words}`"),
        }
    }
}

/// The mitigations; `reproducer` is the dossier's, if it has one.
pub(super) fn read(
    node: &YamlNode,
    reproducer: Option<&Option<ReproducerSpec>>,
    problems: &mut Collector<'_>,
) -> Vec<Mitigation> {
    let (mut mitigations, mut seen) = (Vec::new(), HashSet::new());
    for item in problems.items(node, "mitigations").unwrap_or_default() {
        let Some((mitigation, holds)) = mitigation(item, problems) else { continue };
        if let Measure::Sysctls { profile, sysctls } = &mitigation.measure {
            if !seen.insert(profile.clone()) {
                problems.add(&item.span, || format!("the profile `{profile}` is given twice"));
            }
            if mitigation.holds && sysctls.contains_key(MODULES_DISABLED) {
                problems.add(&holds.span, || {
                    format!(
                        "`{MODULES_DISABLED}` unloads no modules, so it hides no bug: expected `modules`, a list of modules \
                         that must not be loaded"
                    )
                });
            }
            let blind = |r: &ReproducerSpec| r.program != ProgramSource::BuiltIn { mitigable: true };
            if mitigation.holds && reproducer.and_then(Option::as_ref).is_some_and(blind) {
                problems.add(&holds.span, || {
                    "no reproducer can prove this: that of the bug does not compare the kernel with and without a \
                     profile"
                        .to_owned()
                });
            }
        }
        mitigations.push(mitigation);
    }
    mitigations
}

/// The mitigation, and the place of its `holds`.
fn mitigation<'n>(node: &'n YamlNode, problems: &mut Collector<'_>) -> Option<(Mitigation, &'n YamlNode)> {
    let fields = problems.mapping(node, "a mapping that describes a mitigation", &KEYS)?;
    let says = problems.needed(&fields, "says", node).and_then(|n| problems.value(n, "text", fields::paragraph));
    let mut given = fields.iter().filter(|(key, ..)| MEASURES.contains(key));
    let first = given.next();
    if let (Some((first, ..)), Some((second, key, _))) = (first, given.next()) {
        problems.add(&key.span, || format!("`{second}` beside `{first}`: expected a mitigation for each"));
    }
    let profile = fields.get("profile");
    let measure = match first {
        Some(("sysctls", _, sysctls)) => {
            let sysctls = self::sysctls(sysctls, problems);
            let profile = problems.needed(&fields, "profile", node).and_then(|node| profile_name(node, problems));
            profile.map(|profile| Measure::Sysctls { profile, sysctls })
        }
        Some((key, _, node)) => {
            if let Some(named) = profile {
                problems.add(&named.span, || {
                    format!("`profile` beside `{key}`: profiles have only sysctls, so remove `profile`")
                });
            }
            told(key, node, problems)
        }
        None => {
            problems.add(&node.span, || {
                "this mitigation does nothing: expected `sysctls`, `modules`, `config` or `cmdline`".to_owned()
            });
            None
        }
    };
    let holds = problems.needed(&fields, "holds", node)?;
    let value = problems.boolean(holds)?;
    Some((Mitigation { measure: measure?, says: says?, holds: value }, holds))
}

/// A measure that no run tries.
fn told(key: &str, node: &YamlNode, problems: &mut Collector<'_>) -> Option<Measure> {
    match key {
        "modules" => problems.each(node, "modules", |n, p| p.value(n, "module", fields::module)).map(Measure::Modules),
        "config" => problems.each(node, "options", |n, p| p.value(n, "option", fields::option)).map(Measure::Config),
        _ => problems.value(node, "cmdline", fields::cmdline).map(Measure::Cmdline),
    }
}

fn profile_name(node: &YamlNode, problems: &mut Collector<'_>) -> Option<ProfileName> {
    let name: ProfileName = problems.name(node, "a profile's name")?;
    if name.is_default() || name.as_str() == ProfileName::ALL {
        problems.add(&node.span, || format!("the name `{name}` is taken: it has a special meaning"));
        return None;
    }
    Some(name)
}

/// The sysctls of a profile, at least one.
fn sysctls(node: &YamlNode, problems: &mut Collector<'_>) -> BTreeMap<String, String> {
    if node.is_empty() {
        problems.add(&node.span, || "this profile sets nothing: expected a sysctl".to_owned());
    }
    problems.sysctls(node)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Bug;

    #[test]
    fn measure_is_shown_as_what_to_do() {
        let text = "id: mine\ntitle: A bug\nsummary: It.\nreferences: [a page]\nmitigations:\n  \
                    - { says: a, modules: [algif_aead, af_alg], holds: true }\n  \
                    - { says: a, config: [CONFIG_A, CONFIG_B], holds: true }\n  \
                    - { says: a, cmdline: initcall_blacklist=a_init, holds: true }\n  \
                    - { profile: p, says: a, sysctls: { net.ipv4.tcp_sack: 0, net.core.somaxconn: 1 }, holds: true }\n";
        let bug = Bug::parse(text, Path::new("mine.yaml")).unwrap_or_else(|problems| panic!("{problems}"));
        let told: Vec<String> = bug.mitigations.iter().map(|mitigation| mitigation.measure.to_string()).collect();
        assert_eq!(
            told,
            [
                "`install algif_aead /bin/false`, `install af_alg /bin/false` in /etc/modprobe.d/, and `rmmod algif_aead \
                 af_alg`",
                "a kernel built without CONFIG_A, CONFIG_B",
                "boot with `initcall_blacklist=a_init`",
                "net.core.somaxconn=1 net.ipv4.tcp_sack=0",
            ]
        );
        assert_eq!(super::super::Bugs(vec![bug]).profiles().count(), 1);
    }
}
