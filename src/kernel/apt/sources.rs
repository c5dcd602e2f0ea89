//! The system's apt sources (sources.list(5), both formats), and which archives serve a suite.

/// An archive in the system's sources, with the fields that matter here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Archive {
    pub uri: String,
    pub suite: String,
    components: Vec<String>,
    /// The value of `Signed-By`, which may be a key of many lines.
    signed_by: Option<String>,
    /// The value of `Trusted`.
    trusted: Option<String>,
}

/// Names of Debian's suites. An archive with one of them is probably Debian's.
const DEBIAN_SUITES: [&str; 17] = [
    "stretch",
    "buster",
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "sid",
    "oldoldstable",
    "oldstable",
    "stable",
    "testing",
    "unstable",
    "experimental",
    "proposed-updates",
    "stable-updates",
    "stable-security",
];

/// Suites without updates and a security archive.
const LONE_SUITES: [&str; 4] = ["sid", "unstable", "experimental", "rc-buggy"];

/// Distributions whose archives are named after them.
const OTHER_DISTRIBUTIONS: [&str; 5] = ["ubuntu", "ubuntu-ports", "kali", "devuan", "raspbian"];

/// The system's own archive, if it is clearly another distribution's and the suite is one of Debian's.
pub(super) fn not_debian<'a>(archives: &'a [Archive], suite: &str) -> Option<&'a Archive> {
    let base = suite.split(['-', '/']).next().unwrap_or_default();
    main_archive(archives).filter(|main| DEBIAN_SUITES.contains(&base) && main.other_distribution().is_some())
}

/// Reads a *.list file: `deb [option=value …] uri suite component…`.
pub(super) fn one_line(text: &str) -> Vec<Archive> {
    text.lines().filter_map(one_line_entry).collect()
}

fn one_line_entry(line: &str) -> Option<Archive> {
    let line = line.split('#').next()?.trim();
    let mut rest = line.strip_prefix("deb").filter(|r| r.starts_with([' ', '\t', '[']))?.trim_start();
    let mut options = "";
    if let Some(bracket) = rest.strip_prefix('[') {
        (options, rest) = bracket.split_once(']')?;
    }
    let option = |name: &str| {
        let found = options.split_whitespace().filter_map(|o| o.split_once('=')).find(|(n, _)| *n == name);
        found.map(|(_, value)| value.to_owned())
    };
    if option("arch").is_some_and(|a| !a.split(',').any(|a| a == "amd64")) {
        return None;
    }
    let mut words = rest.split_whitespace().map(str::to_owned);
    let archive = Archive {
        uri: words.next()?,
        suite: words.next()?,
        components: words.collect(),
        signed_by: option("signed-by"),
        trusted: option("trusted"),
    };
    usable(&archive.uri).then_some(archive)
}

/// Reads a *.sources file: deb822 stanzas.
pub(super) fn deb822(text: &str) -> Vec<Archive> {
    let mut archives = Vec::new();
    let lines = text.lines().filter(|l| !l.starts_with('#')).collect::<Vec<_>>();
    for stanza in lines.split(|l| l.trim().is_empty()) {
        let field = |name: &str| field(stanza, name);
        let words =
            |name: &str| field(name).unwrap_or_default().split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let off = field("Enabled").is_some_and(|e| matches!(e.trim(), "no" | "false" | "0"));
        let architectures = words("Architectures");
        let foreign = !architectures.is_empty() && !architectures.iter().any(|a| a == "amd64");
        if off || foreign || !words("Types").iter().any(|t| t == "deb") {
            continue;
        }
        for uri in words("URIs").into_iter().filter(|u| usable(u)) {
            for suite in words("Suites") {
                archives.push(Archive {
                    uri: uri.clone(),
                    suite,
                    components: words("Components"),
                    signed_by: field("Signed-By"),
                    trusted: field("Trusted"),
                });
            }
        }
    }
    archives
}

/// A field with its continuation lines, which keep their leading space.
fn field(stanza: &[&str], name: &str) -> Option<String> {
    let starts = |l: &&str| l.split_once(':').is_some_and(|(n, _)| n.eq_ignore_ascii_case(name));
    let at = stanza.iter().position(starts)?;
    let mut value = stanza[at].split_once(':')?.1.trim().to_owned();
    for line in stanza[at + 1..].iter().take_while(|l| l.starts_with([' ', '\t'])) {
        value.push('\n');
        value.push_str(line.trim_end());
    }
    Some(value)
}

/// Media in drives have no other suites.
fn usable(uri: &str) -> bool {
    !uri.starts_with("cdrom:") && !uri.contains(['"', '\n'])
}

impl Archive {
    /// An archive that the system's sources may lack.
    pub(super) fn new(uri: &str, suite: &str, components: &[String], signed_by: Option<String>) -> Self {
        let (uri, suite, components) = (uri.to_owned(), suite.to_owned(), components.to_vec());
        Self { uri, suite, components, signed_by, trusted: None }
    }

    /// The suite's components.
    pub(super) fn components(&self) -> &[String] {
        &self.components
    }

    /// The distribution that it belongs to, if that is clearly not Debian, so it has none of Debian's suites.
    fn other_distribution(&self) -> Option<&'static str> {
        let path = self.uri.trim_end_matches('/');
        let keyring = self.signed_by.as_deref().unwrap_or_default();
        let is = |name: &&str| path.ends_with(&format!("/{name}")) || keyring.contains(&format!("{name}-archive"));
        let base = self.suite.split('-').next().unwrap_or_default();
        OTHER_DISTRIBUTIONS.into_iter().find(|name| is(name)).filter(|_| !DEBIAN_SUITES.contains(&base))
    }

    fn is_security(&self) -> bool {
        self.suite.ends_with("-security") || self.suite.ends_with("/updates")
    }

    /// The likelihood that this is a distribution's own archive rather than a third party's; more is likelier.
    fn likelihood(&self) -> u32 {
        let path = self.uri.trim_end_matches('/');
        let base = self.suite.split('-').next().unwrap_or_default();
        let keyring = self.signed_by.as_deref().unwrap_or_default();
        4 * u32::from(keyring.contains("debian-archive"))
            + 3 * u32::from(path.ends_with("/debian") || path.ends_with("/debian-security"))
            + 2 * u32::from(DEBIAN_SUITES.contains(&base))
            + u32::from(keyring.contains("-archive-keyring") || path.ends_with("/ubuntu"))
    }

    /// The same archive's entry for another suite.
    fn with_suite(&self, suite: String) -> Self {
        Self { suite, components: vec!["main".to_owned()], ..self.clone() }
    }

    /// The entry as a deb822 stanza.
    pub(super) fn stanza(&self) -> String {
        let Self { uri, suite, components, signed_by, trusted } = self;
        let mut text = format!("Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: {}\n", components.join(" "));
        for (name, value) in [("Signed-By", signed_by), ("Trusted", trusted)] {
            if let Some(value) = value {
                text += &format!("{name}: {value}\n");
            }
        }
        text + "\n"
    }
}

/// The archive of the host's distribution: the likeliest of all, or the first of equals.
fn main_archive(archives: &[Archive]) -> Option<&Archive> {
    let fits = |a: &&Archive| a.components.iter().any(|c| c == "main") && !a.is_security();
    archives.iter().filter(fits).rev().max_by_key(|a| a.likelihood())
}

/// The host's own suite.
pub(super) fn own_suite(archives: &[Archive]) -> Option<String> {
    let main = main_archive(archives)?;
    let suite = main.suite.as_str();
    Some(suite.strip_suffix("-updates").or_else(|| suite.strip_suffix("-backports")).unwrap_or(suite).to_owned())
}

/// The archives that serve `suite`: first the suite itself, then its updates and its security archive.
pub(super) fn serving(archives: &[Archive], suite: &str) -> Option<Vec<Archive>> {
    let main = main_archive(archives)?;
    let mut serving = vec![main.with_suite(suite.to_owned())];
    // Backports, proposed updates and unstable stand alone.
    if !suite.contains(['-', '/']) && !LONE_SUITES.contains(&suite) {
        serving.push(main.with_suite(format!("{suite}-updates")));
        let security = archives.iter().filter(|a| a.is_security()).rev().max_by_key(|a| a.likelihood());
        serving.extend(security.map(|s| s.with_suite(format!("{suite}-security"))));
    }
    Some(serving)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DEBIAN: &str = "# comment\nTypes: deb deb-src\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\n\
        Components: main contrib\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n\
        Types: deb\nURIs: http://security.example/debian-security\nSuites: bookworm-security\nComponents: main\n\
        Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINB\n\n\
        Types: deb\nEnabled: no\nURIs: http://off.example/debian\nSuites: sid\nComponents: main\n";

    fn served(archives: &[Archive], suite: &str) -> Vec<String> {
        serving(archives, suite).unwrap_or_default().iter().map(|a| format!("{} {}", a.uri, a.suite)).collect()
    }

    #[test]
    fn suite_comes_with_its_updates_and_security_archive() {
        let archives = deb822(DEBIAN);
        assert_eq!(archives.len(), 3);
        assert_eq!(own_suite(&archives).as_deref(), Some("bookworm"));
        assert_eq!(
            served(&archives, "bullseye"),
            [
                "http://mirror.example/debian bullseye",
                "http://mirror.example/debian bullseye-updates",
                "http://security.example/debian-security bullseye-security",
            ]
        );
        assert_eq!(served(&archives, "sid"), ["http://mirror.example/debian sid"]);
        assert_eq!(served(&archives, "bookworm-backports"), ["http://mirror.example/debian bookworm-backports"]);
    }

    #[test]
    fn ubuntu_host_has_none_of_debians_suites() {
        let ubuntu = one_line("deb http://archive.example/ubuntu noble main universe\n");
        for (archives, suite, none) in [
            (&ubuntu, "bookworm", true),
            (&ubuntu, "bookworm-backports", true),
            (&ubuntu, "noble-updates", false),
            (&deb822(DEBIAN), "bookworm", false),
            (&one_line("deb http://mirror.example/own prod main\n"), "bookworm", false),
        ] {
            assert_eq!(not_debian(archives, suite).is_some(), none, "{suite}");
        }
    }

    #[test]
    fn multi_line_key_is_passed_on_whole() {
        let stanza = serving(&deb822(DEBIAN), "trixie").unwrap()[2].stanza();
        assert!(stanza.ends_with("Signed-By: \n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINB\n\n"), "{stanza}");
        assert_eq!(deb822(&stanza).len(), 1);
    }

    #[test]
    fn one_line_entries_are_read_with_their_options() {
        let archives = one_line(
            "deb [arch=amd64,arm64 signed-by=/k.gpg trusted=yes] https://m.example/debian trixie main non-free # main\n\
             deb-src http://m.example/debian trixie main\ndeb [arch=armhf] http://a.example/x trixie main\n\
             deb cdrom:[Debian]/ trixie main\n# deb http://no.example/debian sid main\ndeb\n",
        );
        assert_eq!(archives.len(), 1, "{archives:?}");
        assert_eq!(
            archives[0].stanza(),
            "Types: deb\nURIs: https://m.example/debian\nSuites: trixie\nComponents: main non-free\n\
            Signed-By: /k.gpg\nTrusted: yes\n\n"
        );
    }

    #[test]
    fn third_parties_are_not_taken_for_the_distribution() {
        let mut archives = one_line(
            "deb https://cloud.example/apt cloud-sdk-bookworm main\ndeb http://toolchain.example/bookworm tools main\n\
             deb https://docker.example/linux/debian bookworm stable\n",
        );
        archives.extend(deb822(DEBIAN));
        assert_eq!(served(&archives, "sid"), ["http://mirror.example/debian sid"]);
        assert_eq!(serving(&one_line("deb http://x.example/y z stable\n"), "sid"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_text_makes_the_readers_panic(text in "(deb|Types:|URIs:|Suites:| |\\[|\\]|=|\\n|#|\\PC){0,60}") {
            let archives = [one_line(&text), deb822(&text)].concat();
            let _ = (own_suite(&archives), serving(&archives, "sid"));
        }
    }
}
