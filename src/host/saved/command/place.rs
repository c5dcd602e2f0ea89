//! The place of a command: another network namespace or container, or another host.

use super::{base, is_read, prompt};

/// A shell that a command line begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shell {
    /// A shell of the same host and namespace: `sudo -i`.
    Same,
    /// A shell of a namespace that may be another, unknown one.
    Place(String),
    /// A shell of another host.
    Host(String),
}

/// Programs that enter a namespace or a container.
#[rustfmt::skip]
pub const ENTER: &[&str] = &[
    "ip", "nsenter", "docker", "podman", "kubectl", "oc", "crictl", "chroot", "lxc", "incus", "lxc-attach", "pct",
    "unshare", "machinectl", "nerdctl", "ctr", "jexec", "vzctl", "lxc-console", "lxc-execute", "docker-compose",
    "systemd-nspawn", "systemd-run", "toolbox", "distrobox", "distrobox-enter", "firejail", "bwrap", "runc", "crun", "virsh",
    "vagrant", "multipass", "limactl", "adb", "k3s", "microk8s", "minikube", "kubectl-node-shell", "flatpak", "singularity",
    "apptainer", "setns", "buildah", "qm", "aws", "gcloud", "az", "cilium", "vzenter", "arch-chroot",
];

/// Programs of [`ENTER`] that lead into a virtual machine, which has a separate kernel, or a device.
const MACHINES: &[&str] = &["virsh", "vagrant", "multipass", "limactl", "adb", "minikube", "qm", "aws", "gcloud", "az"];

/// Programs that lead to another machine: serial consoles, terminals, and virtual machines in a terminal.
#[rustfmt::skip]
const CONSOLES: &[&str] = &[
    "picocom", "minicom", "tio", "cu", "telnet", "rlogin", "rsh", "dbclient", "plink", "et", "console", "wsl", "lima", "orb",
    "vng", "virtme-run", "virtme-ng", "ipmitool", "virtctl", "tsh", "xl", "xe", "colima", "docker-machine", "fly", "flyctl",
    "heroku", "nomad",
];

/// Programs of [`ENTER`] that need no further word to begin a shell.
#[rustfmt::skip]
const ENTER_BY_THEMSELVES: &[&str] = &[
    "nsenter", "chroot", "unshare", "lxc-attach", "lxc-console", "systemd-nspawn", "distrobox-enter", "firejail", "bwrap",
    "kubectl-node-shell", "vzenter", "arch-chroot",
];

/// Words of a program of [`ENTER`] that begin a shell.
#[rustfmt::skip]
const ENTERING: &[&str] = &[
    "attach", "shell", "enter", "console", "login", "rsh", "debug", "ssh", "node-shell", "ssh-into", "start-session",
    "terminal",
];

const SHELLS: &[&str] = &["sh", "bash", "ash", "dash", "zsh", "ksh", "fish", "busybox", "su", "login", "csh", "tcsh"];

/// Options of ssh(1) that take a word.
const SSH_WITH_WORD: &str = "BbcDEeFIiJLlmOopQRSWw";

/// The place in which the words before a program run it: `ip netns exec blue`, `nsenter -t 77 -n`, `docker exec web`.
pub fn of(words: &[&str]) -> Option<String> {
    let is_place = |word: &&str| ENTER.contains(&base(word)) && !MACHINES.contains(&base(word));
    let at = words.iter().position(is_place)?;
    let words: Vec<&str> = words[at..].iter().copied().filter(|word| !["sudo", "--"].contains(word)).collect();
    let name: String = match words.as_slice() {
        [ip, .., "exec", name] if base(ip) == "ip" => format!("netns {name}"),
        _ => words.join(" "),
    };
    Some(name.chars().take(64).collect())
}

/// The process whose network namespace a file or folder in /proc shows, if that is not the shell's own: `/proc/77`.
pub fn process(path: &str) -> Option<String> {
    let path = path.strip_prefix("/proc/")?;
    let pid = path.split_once("/net").map_or(path, |(pid, _)| pid);
    let is_pid = pid.starts_with(|c: char| c.is_ascii_digit() || "$`*[?{".contains(c));
    (is_pid && pid != "1").then(|| format!("/proc/{pid}").chars().take(64).collect())
}

/// The host on which the words run something: that of the last `ssh`, or a virtual machine.
pub fn host(words: &[&str]) -> Option<String> {
    let machine = words.iter().rposition(|word| MACHINES.contains(&base(word)));
    let Some(at) = words.iter().rposition(|word| is_ssh(base(word)) && machine.is_none()) else {
        return machine.map(|at| words[at..].join(" ").chars().take(64).collect());
    };
    let (target, _) = ssh(&words[at + 1..])?;
    // `xargs -I HOST ssh HOST nstat -az`: the name represents several hosts.
    let is_repeated = words[..at].iter().any(|word| ["xargs", "parallel"].contains(&base(word)));
    Some(if is_repeated && !target.contains(['$', '{']) { format!("${target}") } else { target })
}

/// Whether a program opens a shell on another host.
pub fn is_ssh(program: &str) -> bool {
    ["ssh", "mosh", "autossh"].contains(&program)
}

/// Whether a command line may lead to another machine by means other than ssh.
pub fn is_console(words: &[String]) -> bool {
    let is_line = |word: &String| word.starts_with("/dev/tty");
    let is_program = |word: &String| {
        let program = base(word);
        CONSOLES.contains(&program) || program.starts_with("qemu-system-") || program == "sshpass"
    };
    words.iter().take(4).any(is_program) || words.iter().any(is_line)
}

/// The target of ssh's words, and how many words it and the options take.
pub fn ssh(words: &[&str]) -> Option<(String, usize)> {
    let mut at = 0;
    loop {
        let word = words.get(at)?.trim_matches(['\'', '"', '`', ':', ',']);
        let Some(option) = word.strip_prefix('-') else {
            let host = word.strip_prefix("ssh://").unwrap_or(word);
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            // `db$i`, `{}` of xargs: the name represents several hosts.
            let is_variable = host.contains(['$', '{', '`']);
            let host = if is_variable { Some(host.chars().take(64).collect()) } else { prompt::name(host) };
            return Some((host?, at + 1));
        };
        // The word is part of the option, or the next one.
        let takes =
            option.chars().position(|c| SSH_WITH_WORD.contains(c)).is_some_and(|n| n + 1 == option.chars().count());
        at += if takes { 2 } else { 1 };
    }
}

/// The shell that a command line without its prompt begins.
pub fn shell(words: &[&str]) -> Option<Shell> {
    let words: Vec<&str> = words.iter().map(|word| word.trim_matches(['\'', '"', '`'])).collect();
    let is_shell = |word: &&str| SHELLS.contains(&base(word));
    let has_flag = |words: &[&str], letter: char| {
        let is_set =
            |word: &&str| word.strip_prefix('-').is_some_and(|flags| !flags.starts_with('-') && flags.contains(letter));
        words.iter().any(is_set)
    };
    let is_begun = |word: &&str| is_shell(word) || ENTER.contains(&base(word)) || is_ssh(base(word));
    let begin = words.iter().position(|word| !["sudo", "doas", "exec", "time", "env"].contains(&base(word)))?;
    // `sudo -i`, `sudo -u app bash`.
    if words[..begin].iter().any(|word| ["sudo", "doas"].contains(&base(word))) && words[begin].starts_with('-') {
        let is_login = words.iter().any(|word| ["-i", "-s", "--login", "--shell"].contains(word));
        let inner = words.iter().skip(begin).position(is_begun);
        return match inner {
            Some(at) => shell(&words[begin + at..]),
            None => (is_login && words[begin..].iter().all(|word| word.starts_with('-'))).then_some(Shell::Same),
        };
    }
    let (program, rest) = words[begin..].split_first()?;
    let program = base(program);
    // A known program is a command, not a shell.
    if rest.iter().any(|word| is_read(base(word))) {
        return None;
    }
    if is_ssh(program) {
        let (target, taken) = ssh(rest)?;
        let command = &rest[taken..];
        let is_closed = has_flag(&rest[..taken], 'N') || has_flag(&rest[..taken], 'f');
        let inner = shell(command);
        return match inner {
            Some(Shell::Same) | None if is_closed => None,
            None => command.is_empty().then_some(Shell::Host(target)),
            Some(Shell::Same) => Some(Shell::Host(target)),
            other => other,
        };
    }
    if ENTER.contains(&program) {
        let is_ip = program == "ip" && !rest.contains(&"exec");
        let last = rest.iter().rev().find(|word| !word.starts_with('-'));
        let begins =
            rest.iter().any(is_shell) || last.is_none_or(is_shell) || rest.iter().any(|w| ENTERING.contains(w));
        let is_interactive = has_flag(rest, 'i') && has_flag(rest, 't');
        let is_plain = rest.first().is_none_or(|word| word.starts_with('-') || word.contains('/'));
        let by_itself = ENTER_BY_THEMSELVES.contains(&program) && is_plain;
        return (!is_ip && (begins || is_interactive || by_itself)).then(|| {
            let place: Vec<&str> = words[begin..].to_vec();
            if MACHINES.contains(&program) {
                return Shell::Host(host(&place).unwrap_or_else(|| program.to_owned()));
            }
            Shell::Place(of(&place).unwrap_or_else(|| program.to_owned()))
        });
    }
    let is_plain = rest.iter().all(|word| word.starts_with('-') || *word == "root");
    let begins = is_shell(&program) || ["screen", "tmux", "newgrp", "script"].contains(&program);
    // `bash -c` runs a command.
    (begins && is_plain && !rest.contains(&"-c")).then_some(Shell::Same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interactive_shells_are_not_taken_for_commands() {
        let place = |name: &str| Some(Shell::Place(name.to_owned()));
        let host = |name: &str| Some(Shell::Host(name.to_owned()));
        for (line, expected) in [
            ("nsenter -t 77 -n bash", place("nsenter -t 77 -n bash")),
            ("nsenter -t 77 -n", place("nsenter -t 77 -n")),
            ("sudo nsenter --net=/run/netns/blue", place("nsenter --net=/run/netns/blue")),
            ("ip netns exec blue bash", place("ip netns exec blue bash")),
            ("docker exec -it web sh", place("docker exec -it web sh")),
            ("docker exec -ti web /bin/bash -l", place("docker exec -ti web /bin/bash -l")),
            ("docker attach web", place("docker attach web")),
            ("podman exec -i -t web zsh", place("podman exec -i -t web zsh")),
            ("kubectl exec -it web -c app -- sh", place("kubectl exec -it web -c app sh")),
            ("oc rsh web", place("oc rsh web")),
            ("lxc exec web bash", place("lxc exec web bash")),
            ("lxc-attach -n web", place("lxc-attach -n web")),
            ("pct enter 101", place("pct enter 101")),
            ("machinectl shell web", place("machinectl shell web")),
            ("unshare -n", place("unshare -n")),
            ("vagrant ssh", host("vagrant ssh")),
            ("virsh console web", host("virsh console web")),
            ("adb shell", host("adb shell")),
            ("ssh db1", host("db1")),
            ("ssh -p 22 -i key root@db1.example.org", host("db1.example.org")),
            ("ssh -t db1 sudo -i", host("db1")),
            ("ssh db1 bash", host("db1")),
            ("ssh -t bastion ssh db1", host("db1")),
            ("ssh -t db1 docker exec -it web sh", place("docker exec -it web sh")),
            ("sudo -i", Some(Shell::Same)),
            ("sudo su -", Some(Shell::Same)),
            ("sudo -u app bash", Some(Shell::Same)),
            ("sudo -n nsenter -t 77 -n sh", place("nsenter -t 77 -n sh")),
            ("bash", Some(Shell::Same)),
            ("bash -c true", None),
            ("docker exec web ls", None),
            ("docker exec web nstat -az", None),
            ("docker ps", None),
            ("ip link", None),
            ("ssh db1 uptime", None),
            ("ssh db1 nstat -az", None),
            ("ssh -N -L 1:a:1 db1", None),
            ("exit", None),
            ("", None),
        ] {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(shell(&words), expected, "{line}");
        }
    }
}
