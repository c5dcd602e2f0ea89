//! Explains why a guest could not set a profile's sysctl, and what to do.

use backproof_protocol::{NO_SUCH_SYSCTL, SETTING_FAILED};

use super::value_modules::value_modules;
use super::{Profile, SysctlPlace};

/// A sysctl that a guest could not set, as its agent reports it.
#[derive(Debug, PartialEq, Eq)]
struct RefusedSysctl<'r> {
    name: &'r str,
    value: &'r str,
    /// The error, and anything that the controller added to it.
    error: &'r str,
}

impl<'r> RefusedSysctl<'r> {
    /// The refusal in a report's reason, if it is one: ``setting the profile's NAME to `VALUE`: ERROR``.
    fn of(reason: &'r str) -> Option<Self> {
        let (_, setting) = reason.split_once(SETTING_FAILED)?;
        let (name, rest) = setting.split_once(" to `")?;
        let (value, error) = rest.split_once("`: ")?;
        Some(Self { name, value, error })
    }

    /// Why the kernel refused it, and what to do. `notes` are the agent's.
    fn explanation(&self, notes: &[String]) -> String {
        let Self { name, value, error } = self;
        let short = error.split(" (os error ").next().unwrap_or(error);
        let modules = value_modules(name, value);
        let failed = |module: &String| notes.iter().find(|note| note.contains(&format!("module {module}.")));
        match errno(error) {
            _ if error.starts_with(NO_SUCH_SYSCTL) => {
                "this kernel has no such setting; remove it, or use a kernel that has it".to_owned()
            }
            // ENOENT: the setting is there, but what its value names is not.
            Some(2) if !modules.is_empty() => match modules.iter().find_map(failed) {
                Some(note) => format!("{note}; remove the setting, or use a kernel in which the module loads"),
                // The value may be a list.
                None => {
                    let lacking = match value.split_whitespace().count() {
                        1 => format!("{} isn't", modules[0]),
                        _ => format!("not all of {} are", modules.join(", ")),
                    };
                    format!(
                        "{lacking} available in this kernel, neither built in nor as a module of its package; remove the \
                         setting, or use another kernel"
                    )
                }
            },
            // EINVAL and ERANGE.
            Some(22 | 34) => format!("this kernel rejects the value ({short}); change it, or remove the setting"),
            // EPERM, EACCES and EROFS.
            Some(1 | 13 | 30) => format!("this kernel doesn't let anyone change it ({short}); remove the setting"),
            _ => format!("{short}; remove the setting"),
        }
    }
}

/// The number at the end of an I/O error: `Invalid argument (os error 22)`.
fn errno(error: &str) -> Option<i32> {
    let (_, number) = error.split_once("(os error ")?;
    number.split_once(')')?.0.parse().ok()
}

impl Profile {
    /// Why a guest has no verdict under this profile. If it could not set a sysctl, names the sysctl, its value and place,
    /// the cause, and what to do. `notes` are the agent's.
    pub fn explain(&self, reason: &str, notes: &[String]) -> String {
        let refused = RefusedSysctl::of(reason).filter(|refused| self.sysctls.contains_key(refused.name));
        let Some(refused) = refused else { return reason.to_owned() };
        let place = match self.places.get(refused.name) {
            Some(SysctlPlace { file, line }) => format!("line {line} of {}", file.display()),
            None => format!("profile `{}`", self.name),
        };
        let why = refused.explanation(notes);
        format!("cannot set {}={} ({place}): {why}", refused.name, refused.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::ProfileName;

    fn profile() -> Profile {
        let names = [
            "net.core.default_qdisc",
            "net.ipv4.tcp_allowed_congestion_control",
            "net.core.somaxconn",
            "net.ipv4.tcp_x",
            "net.ipv4.tcp_sack",
        ];
        let place = |line| SysctlPlace { file: "d/10-ours.conf".into(), line };
        let mut profile = Profile::default_for(Vec::new());
        profile.name = "own".parse::<ProfileName>().expect("a name");
        profile.sysctls = names.map(|name| (name.to_owned(), "1".to_owned())).into();
        profile.places = names[..4].iter().zip(5..).map(|(name, line)| ((*name).to_owned(), place(line))).collect();
        profile
    }

    #[test]
    fn refused_setting_is_named_with_place_cause_and_remedy() {
        let gone = "No such file or directory (os error 2)";
        let missing = format!("{NO_SUCH_SYSCTL} in this kernel");
        for (name, value, error, expected) in [
            (
                "net.core.default_qdisc",
                "fq",
                gone,
                "cannot set net.core.default_qdisc=fq (line 5 of d/10-ours.conf): sch_fq isn't available in this kernel, \
                 neither built in nor as a module of its package; remove the setting, or use another kernel",
            ),
            (
                "net.ipv4.tcp_allowed_congestion_control",
                "reno bbr dctcp",
                gone,
                "cannot set net.ipv4.tcp_allowed_congestion_control=reno bbr dctcp (line 6 of d/10-ours.conf): not \
                 all of tcp_bbr, tcp_dctcp are available in this kernel, neither built in nor as a module of its package; \
                 remove the setting, or use another kernel",
            ),
            (
                "net.core.somaxconn",
                "many",
                "Invalid argument (os error 22)",
                "cannot set net.core.somaxconn=many (line 7 of d/10-ours.conf): this kernel rejects the value (Invalid \
                 argument); change it, or remove the setting",
            ),
            (
                "net.ipv4.tcp_x",
                "1",
                &missing,
                "cannot set net.ipv4.tcp_x=1 (line 8 of d/10-ours.conf): this kernel has no such setting; remove it, or use a \
                 kernel that has it",
            ),
            (
                "net.ipv4.tcp_sack",
                "1",
                "Permission denied (os error 13)",
                "cannot set net.ipv4.tcp_sack=1 (profile `own`): this kernel doesn't let anyone change it (Permission \
                 denied); remove the setting",
            ),
            (
                "net.ipv4.tcp_sack",
                "1",
                "Cannot allocate memory (os error 12)",
                "cannot set net.ipv4.tcp_sack=1 (profile `own`): Cannot allocate memory; remove the setting",
            ),
        ] {
            let reason = format!("{SETTING_FAILED}{name} to `{value}`: {error}");
            assert_eq!(profile().explain(&reason, &[]), expected);
        }
    }

    #[test]
    fn module_that_failed_to_load_is_the_cause() {
        let reason = format!("{SETTING_FAILED}net.core.default_qdisc to `fq`: No such file or directory (os error 2)");
        let notes = ["x", "cannot load module sch_fq.ko: Exec format error (see the kernel's log)"].map(str::to_owned);
        let said = profile().explain(&reason, &notes);
        assert!(said.contains("(line 5 of d/10-ours.conf): cannot load module sch_fq.ko: Exec format error"), "{said}");
    }

    #[test]
    fn other_reasons_stay_as_they_are() {
        let unset = format!("{SETTING_FAILED}net.ipv4.tcp_y to `1`: Invalid argument (os error 22)");
        for reason in
            ["killed at its deadline", SETTING_FAILED, &unset, "setting the profile's net.core.somaxconn to `1"]
        {
            assert_eq!(profile().explain(reason, &[]), reason);
        }
    }
}
