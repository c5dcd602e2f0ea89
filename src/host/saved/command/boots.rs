//! Signs of the boot that a text is of: how long the host is up, when it began, and its ID. They tell that it was rebooted
//! between two outputs.

use super::super::text::bare;
use super::ShellCommand;

/// The most seconds by which two readings of one boot differ: `uptime` rounds to minutes, and clocks are set.
const SLACK: u64 = 120;

/// One sign.
#[derive(Clone, Debug, PartialEq, Eq)]
enum BootSign {
    /// Seconds since the boot.
    Up(u64),
    /// Seconds at the boot.
    Since(u64),
    /// Its ID.
    Id(String),
}

/// The last sign of each kind in a text so far.
#[derive(Debug, Default)]
pub struct BootSigns(Vec<BootSign>);

impl BootSigns {
    /// Takes a line of a command's output; returns whether it is of a later boot than the lines before it.
    pub fn take(&mut self, line: &str, command: Option<&ShellCommand>) -> bool {
        let Some(sign) = sign(bare(line), line.trim(), command) else { return false };
        let is_kind = |known: &BootSign| std::mem::discriminant(known) == std::mem::discriminant(&sign);
        let is_other = self.0.iter().any(|known| match (known, &sign) {
            (BootSign::Up(before), BootSign::Up(now)) => now.saturating_add(SLACK) < *before,
            (BootSign::Since(before), BootSign::Since(now)) => before.abs_diff(*now) > SLACK,
            (BootSign::Id(before), BootSign::Id(now)) => before != now,
            _ => false,
        });
        if is_other {
            self.0.clear();
        }
        self.0.retain(|known| !is_kind(known));
        self.0.push(sign);
        is_other
    }
}

/// The sign in a line, without and with the time before it.
fn sign(line: &str, whole: &str, command: Option<&ShellCommand>) -> Option<BootSign> {
    let names = |file: &str| command.is_some_and(|command| command.arguments.iter().any(|word| word.ends_with(file)));
    let is_uptime =
        |short, long| command.is_some_and(|command| command.program == "uptime" && command.has(short, long));
    if whole.contains("load average") {
        let (_, up) = whole.split_once("up ")?;
        return duration(up).map(BootSign::Up);
    }
    if let Some(up) = line.strip_prefix("up ").filter(|_| command.is_none() || is_uptime('p', "pretty")) {
        return duration(up).map(BootSign::Up);
    }
    if let Some(time) = line.strip_prefix("system boot ") {
        return date(time.trim()).map(BootSign::Since);
    }
    if let Some(seconds) = line.strip_prefix("btime ") {
        return seconds.trim().parse().ok().map(BootSign::Since);
    }
    if line.starts_with("node_boot_time_seconds") {
        let seconds: f64 = line.rsplit(' ').next()?.parse().ok()?;
        return (seconds.is_finite() && seconds >= 0.0).then_some(BootSign::Since(seconds as u64));
    }
    if let Some(id) = line.strip_prefix("Boot ID: ").or_else(|| Some(line).filter(|_| names("random/boot_id"))) {
        let digits: String = id.chars().filter(char::is_ascii_hexdigit).collect();
        return (digits.len() == 32 && id.len() <= 36).then_some(BootSign::Id(digits));
    }
    if names("/proc/uptime") {
        let seconds: f64 = whole.split_whitespace().next()?.parse().ok()?;
        return (seconds.is_finite() && seconds >= 0.0).then_some(BootSign::Up(seconds as u64));
    }
    // `bare` takes a date off.
    is_uptime('s', "since").then(|| date(whole)).flatten().map(BootSign::Since)
}

/// `41 days,  3:02,  2 users`, `5 min`, `2 weeks, 1 day, 3 hours, 4 minutes`, in seconds.
fn duration(text: &str) -> Option<u64> {
    let mut seconds = None;
    for item in text.split(',').map(str::trim) {
        let (number, unit) = item.split_once(' ').unwrap_or((item, ""));
        let spent = match (number.split_once(':'), unit.trim()) {
            (Some((hours, minutes)), "") => {
                let (hours, minutes): (u64, u64) = (hours.parse().ok()?, minutes.parse().ok()?);
                hours.checked_mul(3600)?.checked_add(minutes.checked_mul(60)?)?
            }
            (None, unit) => {
                let each = match unit.trim_end_matches('s') {
                    "sec" | "second" => 1,
                    "min" | "minute" => 60,
                    "hour" | "hr" => 3600,
                    "day" => 86_400,
                    "week" => 7 * 86_400,
                    "year" => 365 * 86_400,
                    _ => break,
                };
                number.parse::<u64>().ok()?.checked_mul(each)?
            }
            _ => break,
        };
        seconds = Some(seconds.unwrap_or(0_u64).checked_add(spent)?);
    }
    seconds
}

/// `2024-01-01 00:00`, in seconds of a calendar whose months have 31 days: only differences count.
fn date(text: &str) -> Option<u64> {
    let (day, clock) = text.split_once(' ')?;
    let numbers =
        |text: &str, mark: char| text.split(mark).map(|part| part.trim().parse().ok()).collect::<Option<Vec<u64>>>();
    match (numbers(day, '-')?.as_slice(), numbers(clock, ':')?.as_slice()) {
        ([year @ 1970..=9999, month @ 1..=12, day @ 1..=31], [hour @ 0..=23, minute @ 0..=59, ..]) => {
            Some((((*year * 12 + *month) * 31 + *day) * 24 + *hour) * 3600 + *minute * 60)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reboot_between_two_signs_is_noticed() {
        let up = |how: &str| format!(" 12:00:01 up {how},  2 users,  load average: 0.00, 0.01, 0.05");
        let id = |first: &str| format!("{first}1111111-1111-4111-8111-111111111111");
        for (call, before, after, is_other) in [
            ("uptime", up("41 days,  3:02"), up("5 min"), true),
            ("w", up("3:02"), up("1:59"), true),
            ("", up("41 days,  3:02"), up("5 min"), true),
            ("", format!("top -{}", up("1 day, 5 min")), format!("top -{}", up("23:59")), true),
            ("uptime", up("5 min"), up("41 days,  3:02"), false),
            ("uptime", up("5 min"), up("5 min"), false),
            ("uptime", up("59 min"), up("1:02"), false),
            ("uptime -p", "up 2 weeks, 1 day".to_owned(), "up 3 minutes".to_owned(), true),
            ("uptime -p", "up 3 minutes".to_owned(), "up 1 hour, 2 minutes".to_owned(), false),
            ("uptime -s", "2024-01-01 00:00:00".to_owned(), "2024-02-01 00:00:00".to_owned(), true),
            ("uptime -s", "2024-01-01 00:00:00".to_owned(), "2024-01-01 00:00:01".to_owned(), false),
            (
                "who -b",
                "         system boot  2024-01-01 00:00".to_owned(),
                "system boot  2024-01-03 00:00".to_owned(),
                true,
            ),
            ("cat /proc/uptime", "350735.47 234388.90".to_owned(), "99.47 90.1".to_owned(), true),
            ("cat /proc/uptime", "99.47 90.1".to_owned(), "350735.47 234388.90".to_owned(), false),
            ("cat /proc/loadavg", "350735.47 234388.90".to_owned(), "99.47 90.1".to_owned(), false),
            ("grep btime /proc/stat", "btime 1700000000".to_owned(), "btime 1710000000".to_owned(), true),
            ("grep btime /proc/stat", "btime 1700000000".to_owned(), "btime 1700000001".to_owned(), false),
            ("", "node_boot_time_seconds 1.7e+09".to_owned(), "node_boot_time_seconds 1.71e+09".to_owned(), true),
            ("cat /proc/sys/kernel/random/boot_id", id("1"), id("2"), true),
            ("cat /proc/sys/kernel/random/boot_id", id("1"), id("1"), false),
            ("", "going up soon".to_owned(), "up and running".to_owned(), false),
        ] {
            let command = ShellCommand::of_line(&format!("$ {call}"));
            let mut signs = BootSigns::default();
            assert!(!signs.take(&before, command.as_ref()), "{call}: {before}");
            assert_eq!(signs.take(&after, command.as_ref()), is_other, "{call}: {before} {after}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn reading_never_panics(text in "( ?up |system boot |btime |Boot ID: )?(([0-9]{1,22}|é|:|-|,|days?|weeks| ){0,9})(load average)?") {
            let mut signs = BootSigns::default();
            signs.take(&text, ShellCommand::of_line("$ uptime -s").as_ref());
            signs.take(&text, ShellCommand::of_line("$ cat /proc/uptime").as_ref());
        }
    }
}
