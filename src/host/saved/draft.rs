//! The intermediate state of reading a saved host, and its conversion to a reading.

use std::collections::BTreeMap;
use std::path::Path;

use super::command::{self, Part, ShellCommand};
use super::identity::{self, FoundIdentity, Identity, IdentityKind, NamelessPart};
use super::trail::{CounterTrail, TwoBoots};
use super::{MAX_FILE, connections, exporter, files, found, name_of, netstat, nstat, settings, text};
use crate::host::socket::SocketSource;
use crate::host::{HostFacts, HostReading, Namespace, Sockets, TcpExtCounters, counters, kmsg, proc_tcp};

/// The facts read so far.
#[derive(Debug, Default)]
pub struct HostDraft {
    pub host: HostFacts,
    /// The identities of the host in the files, with the files.
    pub identities: Vec<FoundIdentity>,
    /// By the name of the namespace; `host` is the machine's own.
    namespaces: BTreeMap<String, DraftNamespace>,
    pub unseen: Vec<String>,
    /// Files without known contents.
    unknown: Vec<String>,
    /// Whether it is a report, which may have logs of older boots.
    pub is_report: bool,
    /// Whether it is an archive, whose live patches are not read.
    pub is_archive: bool,
    /// The file that shows the end of a boot, with the command that ended it. Other files may be from before.
    reboot: Option<(String, String)>,
    /// Files with known contents.
    read: Vec<String>,
    /// The readings of counters, by the name of the namespace.
    trails: BTreeMap<String, CounterTrail>,
    /// The first two readings that are of two boots.
    pub two_boots: Option<TwoBoots>,
}

/// A namespace during the reading.
#[derive(Debug, Default)]
struct DraftNamespace {
    namespace: Namespace,
    /// Copies of /proc/net/tcp and tcp6: only both show all connections.
    copies: Option<(Sockets, proc_tcp::Copied)>,
}

impl HostDraft {
    /// Takes the known contents of a file, or describes the file.
    pub fn take(&mut self, path: &Path, bytes: &[u8], is_cut: bool) -> Result<(), String> {
        /// The most names to keep.
        const MAX_UNKNOWN: usize = 1000;
        let name = name_of(path);
        if is_cut {
            self.unseen.push(format!("{name} beyond its first {} MiB", MAX_FILE >> 20));
        }
        let text = if found::file(bytes).is_some() { String::new() } else { text::decode(bytes) };
        let old = match self.take_text(path, &name, &text, is_cut) {
            Ok(()) => {
                // Known but unsupported outputs in the same file.
                self.unseen.extend(found::text(&text).map(|found| format!("{name}: {found}")));
                return Ok(());
            }
            Err(old) => old,
        };
        if self.unknown.len() < MAX_UNKNOWN {
            self.unknown.push(name);
        }
        Err(old.unwrap_or_else(|| found::nothing(bytes, &text)))
    }

    /// Takes a text, or names the old output in it.
    fn take_text(&mut self, path: &Path, name: &str, text: &str, is_cut: bool) -> Result<(), Option<String>> {
        /// The most namespaces that command lines of a text may name.
        const MAX_PLACES: usize = 1024;
        let (text, prefixes) = identity::without_prefixes(text);
        let text = text.as_ref();
        let parts = command::parts(text);
        if let Some((file, line)) = &self.reboot {
            let why = earlier(name, file, line);
            return self.skip(&parts, name, why);
        }
        if let Some(line) = command::ended_boot(&parts) {
            self.forget(name, line);
        }
        let floods = kmsg::floods_in(text);
        let mut is_known = !floods.is_empty();
        if is_known {
            self.host.floods.get_or_insert_default().extend(floods);
        }
        let named = files::command_of(name);
        let mut identities: Vec<Identity> = Vec::new();
        // Whether something was read after `ssh` was typed, and where it led.
        let (mut is_typed, mut is_led, mut old) = (false, false, None);
        let mut nameless = NamelessPart::default();
        for part in &parts {
            let old_file = part.old.as_ref().map(|file| {
                format!("{file}, which a command printed: it may be of an earlier time (run its command instead)")
            });
            if let Some(why) = old_file.or_else(|| part.untrusted.clone()) {
                let is_told =
                    || DraftNamespace::default().take(name, part, None, is_cut) || !identity::of_part(part).is_empty();
                if old.is_none() && is_told() {
                    self.unseen.push(why.clone());
                    old = Some(why);
                }
                continue;
            }
            let place = part.place.clone();
            let place = place.filter(|place| self.namespaces.len() < MAX_PLACES || self.namespaces.contains_key(place));
            let place = place.unwrap_or_else(|| files::namespace_of(name));
            let drawn = self.namespaces.entry(place.clone()).or_default();
            // A log has counters from earlier times.
            let prints_log = part.command.as_ref().is_some_and(ShellCommand::prints_log);
            let is_read = !prints_log && drawn.take(name, part, part.command.as_ref().or(named.as_ref()), is_cut);
            if is_read {
                let trail = self.trails.entry(place).or_default();
                let found = trail.take(path, part.text, part.command.as_ref().or(named.as_ref()));
                self.two_boots = self.two_boots.take().or(found);
                identities.extend(nameless.take(part));
            }
            let own = identity::of_part(part);
            if is_read || !own.is_empty() {
                identities.extend(identity::around(part, &own));
                is_led |= part.called.is_some();
                let is_here = part.called.is_none() && part.under.is_none() && part.place.is_none();
                is_typed |= is_here && part.command.is_some();
            }
            is_known |= is_read || own.iter().any(|identity| identity.release.is_some());
            identities.extend(own);
        }
        let is_alias = identities.iter().any(|identity| identity.node.is_some());
        for prefix in prefixes {
            let called = identity::called_all(&prefix).into_iter();
            identities.extend(called.map(|identity| Identity { is_alias, ..identity }));
        }
        if is_led && is_typed {
            identities.extend(identity::called_all("the host that ran `ssh`"));
        }
        if identities.is_empty() {
            identities.extend(identity::alone(text));
            is_known |= !identities.is_empty();
        }
        self.identities.extend(identities.into_iter().map(|identity| (path.to_owned(), identity)));
        if is_known {
            self.read.push(name.to_owned());
        }
        if is_known { Ok(()) } else { Err(old) }
    }

    /// Skips a file that may be from before the reboot that another file shows.
    fn skip(&mut self, parts: &[Part<'_>], name: &str, why: String) -> Result<(), Option<String>> {
        let is_told = |part: &Part<'_>| {
            DraftNamespace::default().take(name, part, None, false) || !identity::of_part(part).is_empty()
        };
        if !parts.iter().any(is_told) {
            return Err(None);
        }
        self.unseen.push(why);
        Ok(())
    }

    /// Forgets the files that may be from before a reboot. The hosts' names are kept: two hosts are still an error.
    fn forget(&mut self, name: &str, line: &str) {
        self.unseen.extend(std::mem::take(&mut self.read).iter().map(|file| earlier(file, name, line)));
        self.namespaces.clear();
        self.trails.clear();
        self.host.floods = None;
        for (_, identity) in &mut self.identities {
            (identity.release, identity.build, identity.machine) = (None, None, None);
        }
        self.reboot = Some((name.to_owned(), line.to_owned()));
    }

    /// The reading, including the list of missing facts.
    pub fn finish(mut self) -> HostReading {
        let of_kind = |kind| self.identities.iter().map(|(_, identity)| identity).filter(move |it| it.kind == kind);
        let all = of_kind(IdentityKind::Running).chain(of_kind(IdentityKind::Logged));
        for identity in all.filter(|it| it.release.is_some()) {
            if self.host.release.as_ref().is_none_or(|release| Some(release) == identity.release.as_ref()) {
                self.host.release.get_or_insert_with(|| identity.release.clone().unwrap_or_default());
                self.host.build = self.host.build.take().or_else(|| identity.build.clone());
                self.host.machine = self.host.machine.take().or_else(|| identity.machine.clone());
            }
        }
        let mut namespaces: BTreeMap<String, Namespace> =
            self.namespaces.into_iter().map(|(name, drawn)| (name, drawn.finish())).collect();
        let mut own = namespaces.remove(files::HOST).unwrap_or_default();
        // A container's output doesn't identify its host.
        if let Some(container) = identity::container(&self.identities) {
            namespaces.insert(container, std::mem::take(&mut own));
        }
        own.name = files::HOST.to_owned();
        let others = namespaces.into_iter().map(|(name, namespace)| Namespace { name, ..namespace });
        let others = others.filter(|n| n.counters.is_some() || n.sockets.is_some() || !n.settings.is_empty());
        let others: Vec<Namespace> = others.collect();
        let not_saved = |what: &str| format!("{what}: not in what was saved");
        let patches = match self.is_archive {
            true => "live patches: not read from an archive (unpack it)".to_owned(),
            false => not_saved("live patches (/sys/kernel/livepatch)"),
        };
        let missing = [
            (self.host.release.is_some(), not_saved("the release (`uname -r`)")),
            (own.counters.is_some(), not_saved("counters (`nstat -az` or `netstat -s`)")),
            (own.sockets.is_some(), not_saved("connections (`ss -tanmio`)")),
            (!own.settings.is_empty(), not_saved("settings (`sysctl -a`)")),
            (self.host.floods.is_some(), not_saved("lines of the kernel's log about SYN floods (`dmesg`)")),
            (self.host.livepatches.is_some(), patches),
            (!others.is_empty(), not_saved("network namespaces of containers")),
        ];
        self.host.unseen.extend(missing.into_iter().filter(|(seen, _)| !seen).map(|(_, what)| what));
        if !self.unknown.is_empty() {
            let names: Vec<String> = self.unknown.iter().take(5).cloned().collect();
            let more = match self.unknown.len() - names.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            self.unseen.push(format!("nothing is known in {}{more}", names.join(", ")));
        }
        self.host.unseen.append(&mut self.unseen);
        HostReading { host: self.host, namespaces: [own].into_iter().chain(others).collect() }
    }
}

/// The reason to skip a file that another file's reboot may have made obsolete.
fn earlier(file: &str, of_reboot: &str, line: &str) -> String {
    format!("{file}: it may be from before `{line}` in {of_reboot} (save it again, or read the files one by one)")
}

impl DraftNamespace {
    /// Takes a part of a text, with the command that printed it if known; returns whether anything was known.
    fn take(&mut self, name: &str, part: &Part<'_>, command: Option<&ShellCommand>, is_cut: bool) -> bool {
        let part = part.text;
        let namespace = &mut self.namespace;
        let mut known = false;
        let lists =
            [nstat::from_proc(part), nstat::read(part, command), netstat::read(part, command), exporter::read(part)];
        for mut counters in lists.into_iter().flatten() {
            known = true;
            if is_cut {
                counters.absent_means = counters::Absence::Nothing;
            }
            merge_counters(&mut namespace.counters, counters);
        }
        let settings = settings::read(part);
        known |= !settings.is_empty();
        namespace.settings.extend(settings);
        for listing in connections::read(part, command, is_cut) {
            known = true;
            let lacks = listing.lacks(name).filter(|lacks| !namespace.unseen.contains(lacks));
            namespace.unseen.extend(lacks);
            match &mut namespace.sockets {
                None => namespace.sockets = Some(listing.sockets),
                Some(sockets) => sockets.merge(listing.sockets),
            }
        }
        let (sockets, copied) =
            self.copies.get_or_insert_with(|| (Sockets::new(SocketSource::Proc), proc_tcp::Copied::default()));
        if let Some(copy) = proc_tcp::take_copy(part, sockets) {
            known = true;
            copied.strange += copy.strange + usize::from(is_cut || command.is_some_and(ShellCommand::shows_a_part));
            copied.v4 |= copy.v4 || name.ends_with("tcp");
            copied.v6 |= copy.v6 || name.ends_with("tcp6");
        } else if *copied == proc_tcp::Copied::default() && sockets.connections == 0 {
            self.copies = None;
        }
        known
    }

    fn finish(self) -> Namespace {
        let mut namespace = self.namespace;
        if let Some((mut sockets, copied)) = self.copies {
            let part = match copied {
                proc_tcp::Copied { strange: 1.., .. } => Some("lines of /proc/net/tcp are broken"),
                proc_tcp::Copied { v4: true, v6: true, .. } => None,
                _ => Some("only one of /proc/net/tcp and /proc/net/tcp6 was saved (save `ss -tanmio`)"),
            };
            sockets.finish(part);
            match &mut namespace.sockets {
                None => namespace.sockets = Some(sockets),
                Some(known) => known.merge(sockets),
            }
        }
        namespace
    }
}

/// Merges two lists of one namespace: the larger values, which are the later ones, and the stronger absence.
fn merge_counters(kept: &mut Option<TcpExtCounters>, new: TcpExtCounters) {
    let Some(old) = kept else {
        *kept = Some(new);
        return;
    };
    for (name, value) in new.values {
        let slot = old.values.entry(name).or_default();
        *slot = value.max(*slot);
    }
    old.absent_means = old.absent_means.min(new.absent_means);
}
