//! The whole output of a command that prints a kernel among other lines: `hostnamectl`, or a list of packages.

use super::subject::{Subject, Unclear};

/// A command whose lines are known.
struct KnownCommand {
    name: &'static str,
    /// The start of a line that only this command prints.
    marker: &'static str,
    /// Whether the command prints this line about something other than a kernel.
    is_other: fn(&str) -> bool,
}

const COMMANDS: [KnownCommand; 3] = [
    KnownCommand { name: "hostnamectl", marker: "Static hostname:", is_other: is_property },
    KnownCommand { name: "dpkg -l", marker: "||/ Name", is_other: is_in_dpkg_list },
    KnownCommand { name: "apt list", marker: "Listing...", is_other: is_in_apt_list },
];

/// Properties of `hostnamectl` besides the kernel.
const PROPERTIES: [&str; 21] = [
    "Static hostname",
    "Transient hostname",
    "Pretty hostname",
    "Icon name",
    "Chassis",
    "Deployment",
    "Location",
    "Machine ID",
    "Boot ID",
    "AF_VSOCK CID",
    "Virtualization",
    "Operating System",
    "CPE OS Name",
    "OS Support End",
    "OS Support Expired",
    "Architecture",
    "Hardware Vendor",
    "Hardware Model",
    "Firmware Version",
    "Firmware Date",
    "Firmware Age",
];

/// Starts of the lines above the list of `dpkg -l`.
const DPKG_HEADINGS: [&str; 5] = ["Desired=", "| Status=", "|/ Err?=", "||/ Name", "+++-"];

/// The lines of an input that may be about a kernel.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page<'a> {
    /// These lines.
    pub lines: Vec<&'a str>,
    /// The number of other lines, which were skipped.
    pub skipped: usize,
    /// The commands that print those.
    pub commands: Vec<&'static str>,
}

impl<'a> Page<'a> {
    /// Skips only lines that a command prints about something else, and only if a line of the input proves that it is
    /// this command's output.
    pub fn of(lines: Vec<&'a str>) -> Self {
        let is_here = |command: &&KnownCommand| lines.iter().any(|line| line.starts_with(command.marker));
        let commands: Vec<&KnownCommand> = COMMANDS.iter().filter(is_here).collect();
        let is_other = |line: &&str| commands.iter().any(|command| (command.is_other)(line));
        let (others, lines): (Vec<&str>, Vec<&str>) = lines.into_iter().partition(is_other);
        Self { lines, skipped: others.len(), commands: commands.iter().map(|command| command.name).collect() }
    }
}

fn is_property(line: &str) -> bool {
    line.split_once(':').is_some_and(|(key, _)| PROPERTIES.contains(&key))
}

fn is_in_dpkg_list(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let is_status = |word: &str| {
        let mut letters = word.chars();
        letters.next().is_some_and(|wish| "uihrp".contains(wish))
            && letters.next().is_some_and(|status| "ncHUFWti".contains(status))
            && matches!(letters.as_str(), "" | "R")
    };
    let is_row = words.next().is_some_and(is_status);
    let package = words.next().filter(|_| is_row && words.next().is_some());
    DPKG_HEADINGS.iter().any(|heading| line.starts_with(heading)) || package.is_some_and(|name| is_other(name, line))
}

fn is_in_apt_list(line: &str) -> bool {
    let name = line.split_once('/').map(|(name, _)| name).filter(|name| !name.contains(char::is_whitespace));
    line.starts_with("Listing...") || name.is_some_and(|name| is_other(name, line))
}

/// Whether a package is not a kernel: neither its name says so, nor does the line name one.
fn is_other(package: &str, line: &str) -> bool {
    let names_none = matches!(Subject::of(line, false), Err(Unclear::NoRelease(_)));
    names_none && !package.contains("linux-image") && !package.contains("kernel")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Page<'_> {
        Page::of(text.lines().map(str::trim).filter(|line| !line.is_empty()).collect())
    }

    #[test]
    fn page_of_hostnamectl_leaves_its_kernel() {
        let text = " Static hostname: db1\n       Icon name: computer-vm\n      Machine ID: 0123\n\
                    Operating System: Debian GNU/Linux 12 (bookworm)\n          Kernel: Linux 6.1.0-25-amd64\n\
                    Architecture: x86-64\nFirmware Version: 1.16.0\n";
        let expected = Page { lines: vec!["Kernel: Linux 6.1.0-25-amd64"], skipped: 6, commands: vec!["hostnamectl"] };
        assert_eq!(page(text), expected);
    }

    #[test]
    fn page_of_dpkg_leaves_all_kernels() {
        let text = "Desired=Unknown/Install/Remove/Purge/Hold\n\
            | Status=Not/Inst/Conf-files/Unpacked/halF-conf/Half-inst/trig-aWait/Trig-pend\n\
            |/ Err?=(none)/Reinst-required (Status,Err: uppercase=bad)\n\
            ||/ Name            Version      Architecture Description\n\
            +++-===============-============-============-===========\n\
            ii  adduser         3.134        all          add and remove users\n\
            ii  util-linux      2.38.1-5     amd64        miscellaneous system utilities\n\
            ii  linux-image-4.15.0-58-generic 4.15.0-58.64 amd64 Signed kernel image generic\n\
            ii  a-kernel        unclear      amd64        something\n\
            this line is no row\n";
        let page = page(text);
        let starts = ["ii  linux-image-4.15.0-58-generic", "ii  a-kernel", "this line"];
        assert_eq!((page.lines.len(), page.skipped), (3, 7), "{page:?}");
        assert!(page.lines.iter().zip(starts).all(|(line, start)| line.starts_with(start)), "{page:?}");
    }

    #[test]
    fn row_with_several_kernels_is_kept() {
        let row = "ii  notes  1  all  from 5.4.0-42-generic to 5.4.0-48-generic";
        let headed = format!("||/ Name Version Architecture Description\n{row}\n");
        assert!(matches!(Subject::of(row, false), Err(Unclear::Several(_))));
        assert_eq!(page(&headed).lines, [row]);
    }

    #[test]
    fn page_of_apt_leaves_its_kernel() {
        let text = "Listing... Done\nadduser/stable,now 3.134 all [installed]\n\
                    linux-image-6.1.0-25-amd64/stable,now 6.1.106-3 amd64 [installed]\n";
        assert_eq!((page(text).lines.len(), page(text).skipped), (1, 2));
    }

    #[test]
    fn rows_of_an_unknown_page_are_all_kept() {
        let text = "ii  adduser  3.134  all  add and remove users\nArchitecture: x86-64\n4.19.57\n";
        assert_eq!((page(text).lines.len(), page(text).skipped), (3, 0));
    }
}
