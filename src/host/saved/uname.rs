//! `uname -a`, `uname -r`, /proc/version.

/// What it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uname {
    /// `uname -r`.
    pub release: String,
    /// `uname -v`.
    pub build: Option<String>,
    /// `uname -m`.
    pub machine: Option<String>,
}

/// The longest release (`__NEW_UTS_LEN`, include/uapi/linux/utsname.h).
const LONGEST: usize = 64;

/// Finds a line of `uname -a` or /proc/version in a text. A bare release has to be the only line.
pub fn read(text: &str) -> Option<Uname> {
    text.lines().take(200).find_map(|line| whole(line.trim())).or_else(|| {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let only = lines.next().filter(|_| lines.next().is_none())?;
        is_release(only).then(|| Uname { release: only.to_owned(), build: None, machine: None })
    })
}

/// `Linux <node> <release> #<build> … <machine> [processor platform] GNU/Linux`, or `Linux version <release> (…) #…`.
fn whole(line: &str) -> Option<Uname> {
    let rest = line.strip_prefix("Linux ")?;
    let (before, build) = rest.split_once(" #")?;
    let mut words = before.split(' ');
    let (node, release) = (words.next()?, words.next()?);
    if !is_release(release) {
        return None;
    }
    let is_version = node == "version";
    // Without a comment in brackets after it, nothing comes between the release and the build.
    if !is_version && words.next().is_some() {
        return None;
    }
    const MACHINES: [&str; 10] =
        ["x86_64", "i686", "i586", "i386", "aarch64", "armv7l", "armv8l", "ppc64le", "s390x", "riscv64"];
    let machine = build.split(' ').find(|word| MACHINES.contains(word)).filter(|_| !is_version);
    let end = machine.and_then(|machine| build.find(&format!(" {machine}"))).unwrap_or(build.len());
    let build: String = format!("#{}", &build[..end]).chars().take(200).collect();
    Some(Uname { release: release.to_owned(), build: Some(build), machine: machine.map(str::to_owned) })
}

/// `4.19.57`, `5.4.0-1-amd64`, `6.1-rc2+`: two numbers at least, and nothing that no release has.
fn is_release(text: &str) -> bool {
    let is_usual = |c: char| c.is_ascii_alphanumeric() || "._+~:-".contains(c);
    text.len() <= LONGEST && text.chars().all(is_usual) && {
        let mut numbers = text.splitn(2, '.');
        let digits = |part: Option<&str>, whole: bool| {
            part.is_some_and(|part| {
                let count = part.bytes().take_while(u8::is_ascii_digit).count();
                (1..=3).contains(&count) && (!whole || count == part.len())
            })
        };
        digits(numbers.next(), true) && digits(numbers.next(), false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn releases_are_found_and_other_texts_are_none() {
        let debian = "Linux db1 4.19.0-5-amd64 #1 SMP Debian 4.19.37-5 (2019-06-19) x86_64 GNU/Linux\n";
        let found = read(debian).expect("a release");
        assert_eq!(found.release, "4.19.0-5-amd64");
        assert_eq!(found.build.as_deref(), Some("#1 SMP Debian 4.19.37-5 (2019-06-19)"));
        assert_eq!(found.machine.as_deref(), Some("x86_64"));
        let red_hat =
            "Linux h 3.10.0-957.21.3.el7.x86_64 #1 SMP Tue Jun 18 16:35:19 UTC 2019 x86_64 x86_64 x86_64 GNU/Linux";
        assert_eq!(read(red_hat).map(|u| u.release).as_deref(), Some("3.10.0-957.21.3.el7.x86_64"));
        let version = "Linux version 4.19.57 (a@b) (gcc version 8.3.0 (Debian 8.3.0-6)) #3 SMP Wed Jul 3 2019\n";
        assert_eq!(read(version).map(|u| u.release).as_deref(), Some("4.19.57"));
        for (text, expected) in [
            ("5.2.1\n", Some("5.2.1")),
            ("\n 6.1.0-9-cloud-amd64 \n", Some("6.1.0-9-cloud-amd64")),
            ("5.2.1\nanother line\n", None),
            ("6\n", None),
            ("4.19.57 and more\n", None),
            ("1234.5\n", None),
            ("4.x\n", None),
            ("", None),
            ("Linux is not a release #1", None),
        ] {
            assert_eq!(read(text).map(|u| u.release).as_deref(), expected, "{text:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn any_text_is_read_without_a_panic(text in "(Linux (version )?)?[0-9a-z.é -]{0,40}( #.{0,40})?\n?.{0,20}") {
            if let Some(found) = read(&text) {
                prop_assert!(found.release.len() <= LONGEST && !found.release.contains(char::is_control));
            }
        }
    }
}
