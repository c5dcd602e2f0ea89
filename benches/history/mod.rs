//! A history as large as Linux's, out of nothing: what `git fast-import` reads.
//!
//! The same sizes give the same history, commit by commit. Mainline has releases and merges, as Linux has; stable
//! branches begin at old releases and carry backports with the trailers that stable trees, distributions and vendors
//! write. Commits change no files but where they have to (the Makefile of a release, and the steps of one bug's chain):
//! what is measured is messages and ancestry.

use std::fmt::Write as _;
use std::io::{self, Write};

/// How large the history gets.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Commits on mainline, with those that merges bring.
    pub mainline: u32,
    /// Stable branches.
    pub branches: u32,
    /// Backports on each.
    pub backports: u32,
}

impl Size {
    /// Linux's stable repository in 2024, about.
    pub const LINUX: Self = Self { mainline: 1_300_000, branches: 30, backports: 10_000 };

    /// How many commits that is.
    pub fn commits(self) -> u32 {
        self.mainline + self.branches * self.backports
    }
}

/// The names of the chain's commits: break, half fix, fix.
pub type Chain = [String; 3];

/// The file that the chain changes.
pub const FILE: &str = "net/ipv4/tcp_output.c";
/// The subjects of the chain.
pub const SUBJECTS: [&str; 3] = ["tcp: limit what fragments hold", "tcp: refine that limit", "tcp: be more careful"];
/// The file before the break and after each step.
pub const TEXTS: [&str; 4] = [
    "head_of_the_function_that_splits\nend_of_the_function_that_splits\n",
    "head_of_the_function_that_splits\nrefuse_when_twice_the_limit\nend_of_the_function_that_splits\n",
    "head_of_the_function_that_splits\nrefuse_unless_write_queue\nend_of_the_function_that_splits\n",
    "head_of_the_function_that_splits\nrefuse_above_limit_and_slack\nend_of_the_function_that_splits\n",
];

/// xorshift64*: chance that is the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as u32 % limit.max(1)
    }
}

const AREAS: [&str; 12] = [
    "tcp",
    "ext4",
    "drm/amdgpu",
    "mm",
    "sched/fair",
    "net/mlx5",
    "KVM: x86",
    "ALSA: hda",
    "USB: serial",
    "btrfs",
    "perf tools",
    "arm64: dts",
];
const DEEDS: [&str; 10] = [
    "fix use-after-free in",
    "avoid a race in",
    "remove unused",
    "add support for",
    "simplify",
    "check the length in",
    "do not leak",
    "handle errors of",
    "document",
    "refactor",
];
const WORDS: &str = "the patch moves this check to where the lock is held so that a reader never sees half of the update and \
                     the counter is right on every path as was reported by syzbot on a machine with many processors ";

/// Writes the history as a stream for `git fast-import`, which `name` asks for the name of a commit that it has been
/// given: the chain's backports name it. All other names in messages are made up.
pub fn write<W: Write>(
    size: Size,
    out: &mut W,
    name: &mut dyn FnMut(&mut W, u32) -> io::Result<String>,
) -> io::Result<Chain> {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let releases = (size.mainline / 14_000).clamp(12, 96);
    let every = size.mainline / releases;
    // The break is two thirds up, in the middle of a release; half fix and fix follow.
    let base = releases * 2 / 3 * every;
    let chain = [base + every / 4, base + every / 4 + 9, base + every + every / 3];
    let mut names = Chain::default();
    let (mut tip, mut mark, mut forks) = (0, 0, Vec::new());
    let mut release = 0;
    while mark < size.mainline {
        // One in twelve is a merge of a few commits that began a little earlier.
        let begins = tip;
        let is_step = |mark| chain.iter().position(|step| *step == mark);
        if mark > 0
            && chance.below(12) == 0
            && (mark..mark + 8).all(|mark| is_step(mark).is_none())
            && mark + 8 < size.mainline
        {
            let mut side = begins;
            for _ in 0..1 + chance.below(4) {
                mark += 1;
                commit(out, mark, &[side], "master", &mainline_message(&mut chance, mark), &[])?;
                side = mark;
            }
            mark += 1;
            let message = format!(
                "Merge tag 'net-{mark}' of git://git.kernel.org/pub/scm/linux/kernel/git/netdev/net\n\nPull fixes.\n"
            );
            commit(out, mark, &[begins, side], "master", &message, &[])?;
            tip = mark;
            continue;
        }
        mark += 1;
        let parents: &[u32] = if tip == 0 { &[] } else { &[tip] };
        if let Some(step) = is_step(mark) {
            let broken = names[0].get(..12);
            let fixes = broken.map_or_else(String::new, |name| format!("Fixes: {name} (\"{}\")\n", SUBJECTS[0]));
            let message = format!("{}\n\n{WORDS}\n\n{fixes}Signed-off-by: E <e@example.org>\n", SUBJECTS[step]);
            commit(out, mark, parents, "master", &message, &[(FILE, TEXTS[step + 1])])?;
            names[step] = name(out, mark)?;
        } else if tip == 0 {
            let files = [("Makefile", makefile(2, 6, 12)), (FILE, TEXTS[0].to_owned())];
            commit(out, mark, &[], "master", "Linux-2.6.12-rc2\n", &files.each_ref().map(|(p, t)| (*p, t.as_str())))?;
        } else if mark >= (release + 1) * every {
            release += 1;
            let (version, patchlevel) = (4 + release / 20, release % 20);
            let text = makefile(version, patchlevel, 0);
            let message = format!("Linux {version}.{patchlevel}\n");
            commit(out, mark, parents, "master", &message, &[("Makefile", &text)])?;
            tag(out, &format!("v{version}.{patchlevel}"), mark)?;
            forks.push((mark, version, patchlevel));
        } else {
            commit(out, mark, parents, "master", &mainline_message(&mut chance, mark), &[])?;
        }
        tip = mark;
    }
    let skipped = forks.len().saturating_sub(size.branches as usize);
    for (at, (fork, version, patchlevel)) in forks.into_iter().skip(skipped).enumerate() {
        let branch = format!("linux-{version}.{patchlevel}.y");
        let mut tip = fork;
        for n in 1..=size.backports {
            mark += 1;
            // A stable release every hundred; the chain arrives early on branches that are older than it.
            let step = [50, 120, 250].iter().position(|at| *at == n).filter(|_| fork < chain[0]);
            if let Some(step) = step {
                let trailer = trailer(at as u32, &names[step]);
                let message = format!("{}\n\n{trailer}\n\n{WORDS}\n", SUBJECTS[step]);
                commit(out, mark, &[tip], &branch, &message, &[(FILE, TEXTS[step + 1])])?;
            } else if n % 100 == 0 {
                let text = makefile(version, patchlevel, n / 100);
                let name = format!("{version}.{patchlevel}.{}", n / 100);
                commit(out, mark, &[tip], &branch, &format!("Linux {name}\n"), &[("Makefile", &text)])?;
                tag(out, &format!("v{name}"), mark)?;
            } else {
                commit(out, mark, &[tip], &branch, &backport_message(&mut chance, mark), &[])?;
            }
            tip = mark;
        }
    }
    writeln!(out, "done")?;
    Ok(names)
}

/// The same commits on top of a branch, as a fetch brings them: `count` new backports.
pub fn write_update(branch: &str, from: &str, count: u32, out: &mut impl Write) -> io::Result<()> {
    let mut chance = Chance(0x5851_f42d_4c95_7f2d);
    for mark in 1..=count {
        let message = backport_message(&mut chance, u32::MAX - mark);
        let parent = if mark == 1 { from.to_owned() } else { format!(":{}", mark - 1) };
        head(out, mark, branch, &message)?;
        writeln!(out, "from {parent}\n")?;
    }
    writeln!(out, "done")
}

fn mainline_message(chance: &mut Chance, mark: u32) -> String {
    let mut message = format!("{}\n\n{}\n\n", subject(chance, mark), body(chance));
    if chance.below(5) == 0 {
        let _ = writeln!(message, "Fixes: {} (\"{}\")", &hash(mark / 2)[..12], subject(chance, mark / 2));
    }
    if chance.below(400) == 0 {
        message = format!("Revert \"{}\"\n\nThis reverts commit {}.\n\n", subject(chance, mark), hash(mark / 3));
    }
    let _ = write!(
        message,
        "Reported-by: R <r@example.org>\nReviewed-by: V <v@example.org>\nSigned-off-by: S <s@example.org>\n"
    );
    message
}

fn backport_message(chance: &mut Chance, mark: u32) -> String {
    let upstream = hash(chance.below(1 << 30));
    let mut message = format!("{}\n\n{}\n\n{}\n\n", subject(chance, mark), trailer(mark, &upstream), body(chance));
    if chance.below(2) == 0 {
        let _ = writeln!(message, "Fixes: {} (\"{}\")", &hash(mark / 2)[..12], subject(chance, mark));
    }
    if chance.below(150) == 0 {
        message = format!("Revert \"{}\"\n\nThis reverts commit {upstream}.\n\n", subject(chance, mark));
    }
    let _ = write!(message, "Signed-off-by: S <s@example.org>\nSigned-off-by: Stable <stable@example.org>\n");
    message
}

/// The forms that there are of saying which commit one carries.
fn trailer(which: u32, upstream: &str) -> String {
    match which % 6 {
        0 | 1 => format!("commit {upstream} upstream."),
        2 | 3 => format!("[ Upstream commit {upstream} ]"),
        4 => format!("(cherry picked from commit {upstream})"),
        _ => format!("Git-commit: {upstream}"),
    }
}

fn subject(chance: &mut Chance, mark: u32) -> String {
    let pick = |words: &[&'static str], n: u32| words[n as usize % words.len()];
    let (area, deed) = (pick(&AREAS, chance.below(12)), pick(&DEEDS, chance.below(10)));
    format!(
        "{area}: {deed} {}_{:x}()",
        pick(&["probe", "release", "queue", "poll", "alloc"], chance.below(5)),
        mark / 2
    )
}

fn body(chance: &mut Chance) -> String {
    let mut body = String::new();
    for _ in 0..2 + chance.below(4) {
        let start = chance.below(40) as usize;
        body.push_str(&WORDS[start..]);
        body.push('\n');
    }
    body
}

/// Forty digits that look like a commit's name and are none.
fn hash(n: u32) -> String {
    let mut chance = Chance(u64::from(n) << 1 | 1);
    (0..5).map(|_| format!("{:08x}", (u64::from(chance.below(u32::MAX)) * 0x9e37_79b1) as u32)).collect()
}

fn makefile(version: u32, patchlevel: u32, sublevel: u32) -> String {
    format!("VERSION = {version}\nPATCHLEVEL = {patchlevel}\nSUBLEVEL = {sublevel}\nEXTRAVERSION =\n")
}

fn commit(
    out: &mut impl Write,
    mark: u32,
    parents: &[u32],
    branch: &str,
    message: &str,
    files: &[(&str, &str)],
) -> io::Result<()> {
    head(out, mark, branch, message)?;
    for (parent, word) in parents.iter().zip(["from"].into_iter().chain(std::iter::repeat("merge"))) {
        writeln!(out, "{word} :{parent}")?;
    }
    for (path, text) in files {
        writeln!(out, "M 100644 inline {path}\ndata {}\n{text}", text.len())?;
    }
    writeln!(out)
}

fn head(out: &mut impl Write, mark: u32, branch: &str, message: &str) -> io::Result<()> {
    let time = 1_113_690_000 + u64::from(mark) * 300;
    write!(out, "commit refs/heads/{branch}\nmark :{mark}\nauthor ")?;
    // One author in ten is in Latin-1.
    out.write_all(if mark.is_multiple_of(10) { b"J\xf6rg" } else { b"Maintainer" })?;
    writeln!(out, " <a{}@example.org> {time} +0000", mark % 4000)?;
    writeln!(out, "committer Committer <c{}@example.org> {time} +0000\ndata {}\n{message}", mark % 200, message.len())
}

fn tag(out: &mut impl Write, name: &str, mark: u32) -> io::Result<()> {
    let message = format!("Linux {}\n", &name[1..]);
    let time = 1_113_690_000 + u64::from(mark) * 300;
    writeln!(out, "tag {name}\nfrom :{mark}\ntagger T <t@example.org> {time} +0000\ndata {}\n{message}", message.len())
}
