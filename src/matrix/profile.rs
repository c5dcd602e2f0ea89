//! Profiles: the sysctls and the kernel command line under which bugs are judged, from the bugs' dossiers and from the
//! matrix.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::check::Checker;
use super::problems::{Collector, Problems};
use super::sysctl::{self, LeftOut};
use super::text::{expected_one_of, one_of, quote};
use super::tree::{Value, YamlNode};
use super::{Bug, Bugs, Matrix, Measure, fields};
use crate::json;
use crate::words::{BugId, ProfileName};

/// The keys of a profile.
pub(super) const KEYS: [&str; 6] = ["name", "sysctls", "sysctl-file", "cmdline", "bugs", "mitigates"];

/// Those that set sysctls.
const SYSCTLS: [&str; 2] = ["sysctls", "sysctl-file"];

/// Settings under which bugs are judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Its name. Dossiers may have profiles of the same name, each for its own bug.
    pub name: ProfileName,
    /// Its effect, in one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub says: Option<String>,
    /// The bugs that are judged under it; never empty.
    pub bugs: Vec<BugId>,
    /// The bugs that it should keep from showing: an affected kernel is expected to pass.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub mitigates: BTreeSet<BugId>,
    /// Sysctls: name to value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: BTreeMap<String, String>,
    /// Parameters for the kernel's command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmdline: Option<String>,
    /// Files of sysctls, in order; [`Profile::sysctls`] override them. They are read when the profile is selected.
    #[serde(default, skip_serializing_if = "Vec::is_empty", serialize_with = "json::paths")]
    pub sysctl_files: Vec<PathBuf>,
    /// The place of each sysctl from a file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub places: BTreeMap<String, SysctlPlace>,
    /// The settings of the files that are not applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
}

/// The place of a setting in a file of sysctls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SysctlPlace {
    /// The file.
    pub file: PathBuf,
    /// Its line, from 1 on.
    pub line: usize,
}

/// Profiles that cannot be selected.
#[derive(Debug, thiserror::Error)]
pub enum BadProfiles {
    /// Unknown names.
    #[error("{}", .0.join("\n"))]
    Unknown(Vec<String>),
    /// Their files of sysctls have mistakes.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Files(Vec<Problems>),
    /// A kernel's command line and a profile's are too long together.
    #[error("the command lines of kernel `{kernel}` and of profile `{profile}` have {length} bytes together: expected at most {max}", max = fields::CMDLINE_MAX)]
    Cmdline {
        /// The kernel.
        kernel: String,
        /// The profile.
        profile: ProfileName,
        /// Their length in bytes.
        length: usize,
    },
    /// No bug is left to judge.
    #[error("nothing to run: no selected kernel is checked for a bug of profile {}", one_of(.0.iter().map(ProfileName::as_str)))]
    Nothing(Vec<ProfileName>),
}

impl Profile {
    /// The kernel's own settings, for these bugs.
    pub fn default_for(bugs: Vec<BugId>) -> Self {
        Self::named(ProfileName::default_profile(), bugs)
    }

    /// The settings of a command line.
    ///
    /// # Errors
    /// If they set nothing, or the parameters cannot be a kernel's.
    pub fn of_command_line(
        name: ProfileName,
        bugs: Vec<BugId>,
        sysctl_files: Vec<PathBuf>,
        cmdline: Option<&str>,
    ) -> Result<Self, String> {
        let cmdline = cmdline.map(fields::cmdline).transpose()?;
        if sysctl_files.is_empty() && cmdline.is_none() {
            return Err("it sets nothing".to_owned());
        }
        Ok(Self { sysctl_files, cmdline, ..Self::named(name, bugs) })
    }

    fn named(name: ProfileName, bugs: Vec<BugId>) -> Self {
        Self {
            name,
            says: None,
            bugs,
            mitigates: BTreeSet::new(),
            sysctls: BTreeMap::new(),
            cmdline: None,
            sysctl_files: Vec::new(),
            places: BTreeMap::new(),
            left_out: Vec::new(),
        }
    }

    /// The profile with its files read.
    fn read(mut self) -> Result<Self, Problems> {
        let mut settings = BTreeMap::new();
        for path in &self.sysctl_files {
            let unreadable = |error: std::io::Error| {
                let message = format!("cannot read the sysctls of profile `{}`: {error}", self.name);
                Problems::of_file(path.clone(), message)
            };
            let file = std::fs::File::open(path).map_err(unreadable)?;
            let mut bytes = Vec::new();
            file.take(sysctl::FILE_MAX as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
            let read = sysctl::read(&bytes, path)?;
            settings.extend(read.applied);
            let place = |(name, line)| (name, SysctlPlace { file: path.clone(), line });
            self.places.extend(read.lines.into_iter().map(place));
            self.left_out.extend(read.left_out);
        }
        self.places.retain(|name, _| !self.sysctls.contains_key(name));
        settings.append(&mut self.sysctls);
        if let (Some(path), false, true) = (self.sysctl_files.first(), self.mitigates.is_empty(), settings.is_empty()) {
            let message = format!(
                "profile `{}` applies no sysctl, so it cannot mitigate anything: add a sysctl, or remove its \
                 `mitigates`",
                self.name
            );
            return Err(Problems::of_file(path.clone(), message));
        }
        Ok(Self { sysctls: settings, ..self })
    }
}

impl Bugs {
    /// The profiles of the dossiers, one for each mitigation that sets sysctls.
    pub fn profiles(&self) -> impl Iterator<Item = Profile> {
        let profile = |(bug, mitigation): (&BugId, &super::Mitigation)| {
            let Measure::Sysctls { profile, sysctls } = &mitigation.measure else { return None };
            Some(Profile {
                says: Some(mitigation.says.clone()),
                mitigates: mitigation.holds.then(|| bug.clone()).into_iter().collect(),
                sysctls: sysctls.clone(),
                ..Profile::named(profile.clone(), vec![bug.clone()])
            })
        };
        self.iter().flat_map(|bug| bug.mitigations.iter().map(|m| (&bug.id, m))).filter_map(profile)
    }
}

impl Matrix {
    /// The profiles with these names, with their files read; without names only the default, and for `all` every one.
    /// Those of the dossiers come before the matrix's own.
    ///
    /// # Errors
    /// All unknown names, or all mistakes in the files, at once; or nothing is left to run.
    pub fn choose_profiles(&self, bugs: &Bugs, names: &[ProfileName]) -> Result<Vec<Profile>, BadProfiles> {
        let default = Profile::default_for(bugs.iter().map(|bug| bug.id.clone()).collect());
        let there: Vec<Profile> = [default].into_iter().chain(bugs.profiles()).chain(self.profiles.clone()).collect();
        let mut known: Vec<&str> = there.iter().map(|profile| profile.name.as_str()).collect();
        let mut seen = BTreeSet::new();
        known.retain(|name| seen.insert(*name));
        known.push(ProfileName::ALL);
        let unknown = names.iter().map(ProfileName::as_str).filter(|name| !known.contains(name));
        let unknown: Vec<String> = unknown
            .map(|name| {
                let path = self.path.display();
                format!(
                    "no profile `{name}` in {path} or a bug's dossier: {}",
                    expected_one_of(name, known.iter().copied())
                )
            })
            .collect();
        if !unknown.is_empty() {
            return Err(BadProfiles::Unknown(unknown));
        }
        let all = names.iter().any(|name| name.as_str() == ProfileName::ALL);
        let chosen = |p: &Profile| all || names.contains(&p.name) || names.is_empty() && p.name.is_default();
        let (mut profiles, mut problems) = (Vec::new(), Vec::new());
        for profile in there.into_iter().filter(chosen) {
            match profile.read() {
                Ok(profile) => profiles.push(profile),
                Err(found) => problems.push(found),
            }
        }
        if !problems.is_empty() {
            return Err(BadProfiles::Files(problems));
        }
        profiles.retain(|p| self.kernels.iter().flat_map(|k| &k.bugs).any(|bug| p.bugs.contains(bug)));
        if profiles.is_empty() {
            return Err(BadProfiles::Nothing(names.to_vec()));
        }
        for (kernel, own) in self.kernels.iter().filter_map(|k| Some((k, k.guest.cmdline.as_ref()?))) {
            for (profile, words) in profiles.iter().filter_map(|p| Some((p, p.cmdline.as_ref()?))) {
                let length = own.len() + 1 + words.len();
                if length > fields::CMDLINE_MAX && kernel.bugs.iter().any(|bug| profile.bugs.contains(bug)) {
                    let (kernel, profile) = (kernel.name.to_string(), profile.name.clone());
                    return Err(BadProfiles::Cmdline { kernel, profile, length });
                }
            }
        }
        Ok(profiles)
    }
}

impl Checker<'_, '_> {
    /// The matrix's own profiles.
    pub(super) fn profiles(&mut self, node: &YamlNode) -> Vec<Profile> {
        let mut named: HashMap<ProfileName, std::ops::Range<usize>> = HashMap::new();
        let mut profiles = Vec::new();
        for item in self.problems.items(node, "profiles").unwrap_or_default() {
            let Some((profile, at)) = self.profile(item) else { continue };
            if let Some(first) = named.get(&profile.name) {
                let note = || Some((first.clone(), "first given here".to_owned()));
                self.problems.add_with(&at, || format!("the profile name `{}` is given twice", profile.name), note);
                continue;
            }
            named.insert(profile.name.clone(), at);
            profiles.push(profile);
        }
        profiles
    }

    fn profile(&mut self, node: &YamlNode) -> Option<(Profile, std::ops::Range<usize>)> {
        let fields = self.problems.mapping(node, "a mapping that describes a profile", &KEYS)?;
        let name = match fields.get("name") {
            Some(name) => self.profile_name(name).map(|read| (read, name.span.clone())),
            None => {
                self.problems.add(&node.span, || "the profile's `name` is missing".to_owned());
                None
            }
        };
        if fields.get("cmdline").is_none() && SYSCTLS.iter().all(|key| fields.get(key).is_none()) {
            let at = fields.get("name").map_or(&node.span, |name| &name.span);
            self.problems
                .add(at, || "this profile sets nothing: expected `sysctls`, `sysctl-file` or `cmdline`".to_owned());
        }
        let bugs = match fields.get("bugs") {
            Some(node) => self.bug_list(node).unwrap_or_default(),
            None => self.bugs.iter().map(|bug| bug.id.clone()).collect(),
        };
        let mitigates = fields.get("mitigates").map(|node| self.mitigates(node, &bugs)).unwrap_or_default();
        let only_cmdline = fields.get("cmdline").is_some() && SYSCTLS.iter().all(|key| fields.get(key).is_none());
        if let Some(node) = fields.get("mitigates").filter(|_| only_cmdline) {
            self.problems.add(&node.span, || {
                "no reproducer can prove that `cmdline` mitigates a bug: it compares network namespaces with and \
                 without the profile's sysctls, but a command line applies to the whole guest"
                    .to_owned()
            });
        }
        let sysctls = fields.get("sysctls").map(|node| self.problems.sysctls(node)).unwrap_or_default();
        let sysctl_files = fields.get("sysctl-file").map(|node| self.sysctl_files(node)).unwrap_or_default();
        let cmdline = fields.get("cmdline").and_then(|node| self.problems.value(node, "cmdline", fields::cmdline));
        let (name, at) = name?;
        Some((Profile { mitigates, sysctls, cmdline, sysctl_files, ..Profile::named(name, bugs) }, at))
    }

    fn profile_name(&mut self, node: &YamlNode) -> Option<ProfileName> {
        let name: ProfileName = self.problems.name(node, "a profile's name")?;
        let taken = match name.as_str() {
            "default" => Some("it means the kernel's own settings".to_owned()),
            ProfileName::ALL => Some("it means every profile".to_owned()),
            _ => {
                let known = self.bugs.profiles().find(|p| p.name == name);
                known.map(|p| {
                    format!("the dossier of {} has a profile of this name", one_of(p.bugs.iter().map(BugId::as_str)))
                })
            }
        };
        if let Some(why) = taken {
            self.problems.add(&node.span, || format!("the name `{name}` is taken: {why}"));
            return None;
        }
        Some(name)
    }

    fn mitigates(&mut self, node: &YamlNode, bugs: &[BugId]) -> BTreeSet<BugId> {
        let listed = self.bug_list(node).unwrap_or_default();
        if let Some(other) = listed.iter().find(|bug| !bugs.is_empty() && !bugs.contains(bug)) {
            self.problems.add(&node.span, || {
                let there = one_of(bugs.iter().map(BugId::as_str));
                format!("`{other}` is not judged under this profile: its bugs are {there}")
            });
        }
        let mitigable = |id: &BugId| self.bugs.get(id).is_some_and(Bug::is_mitigable);
        if let Some(other) = listed.iter().find(|bug| !mitigable(bug)) {
            self.problems.add(&node.span, || {
                let can = one_of(self.bugs.iter().filter(|bug| bug.is_mitigable()).map(|bug| bug.id.as_str()));
                format!(
                    "no reproducer can prove that `{other}` is mitigated: only that of {can} compares the kernel with \
                     and without a profile"
                )
            });
        }
        listed.into_iter().collect()
    }

    fn sysctl_files(&mut self, node: &YamlNode) -> Vec<PathBuf> {
        if let Value::Text(_) = node.value {
            return self.path(node).into_iter().collect();
        }
        let items = self.problems.items(node, "files").unwrap_or_default();
        items.iter().filter_map(|item| self.path(item)).collect()
    }
}

impl Collector<'_> {
    /// A mapping from sysctls to values.
    pub(super) fn sysctls(&mut self, node: &YamlNode) -> BTreeMap<String, String> {
        let Value::Map(entries) = &node.value else {
            self.wrong_type(node, "a mapping from sysctls to values, as in `{ net.ipv4.tcp_sack: 0 }`");
            return BTreeMap::new();
        };
        let mut sysctls = BTreeMap::new();
        for (key, value) in entries {
            let name = match sysctl::name(&key.text) {
                Ok(name) if !sysctl::is_pattern(&name) => Some(name),
                Ok(_) => {
                    let message = || format!("{} is a pattern: expected the name of one sysctl", quote(&key.text));
                    self.add(&key.span, message);
                    None
                }
                Err(expected) => {
                    self.add(&key.span, || format!("bad sysctl {}: {expected}", quote(&key.text)));
                    None
                }
            };
            let value = self.value(value, "value of a sysctl", sysctl::value);
            if let (Some(name), Some(value)) = (name, value)
                && sysctls.insert(name.clone(), value).is_some()
            {
                self.add(&key.span, || format!("the sysctl `{name}` is given twice"));
            }
        }
        sysctls
    }
}

#[cfg(test)]
#[path = "profile_tests.rs"]
mod tests;
