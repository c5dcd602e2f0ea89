//! Meta-packages such as `linux-image-amd64`: they have no kernel, and depend on the current one's package.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use super::archive::{About, Want};
use super::deb;
use super::package;

/// The file name of the package that a meta-package depends on (`linux-image-6.1.0-18-amd64_6.1.76-1_amd64.deb`), or
/// its own if its name has a release. `None` if the file is another package, has a kernel in it, or cannot be read.
pub fn stands_for(path: &Path) -> Option<String> {
    let mut has_image = false;
    let wanted = |path: &str| if package::is_image(path) { Want::UnlessLink } else { Want::No };
    let mut take = |_, _| {
        has_image = true;
        Ok(())
    };
    let control = deb::read(BufReader::new(File::open(path).ok()?), &wanted, &mut take).ok()?;
    if has_image { None } else { named(&control) }
}

fn named(control: &About) -> Option<String> {
    let is_kernel = |name: &str| name.starts_with("linux-image");
    let has_release =
        |name: &str| is_kernel(name) && name.split('-').any(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    let About { package, version, depends, .. } = control;
    if !is_kernel(package) {
        return None;
    }
    let own = format!("{package}_{version}_amd64.deb");
    if has_release(package) {
        return Some(own);
    }
    // `a (= 1) | b, c`: dependencies, each with its alternatives.
    let needed = depends.split(',').filter_map(|needed| needed.split('|').next()).map(str::trim);
    let kernel =
        needed.map(|needed| needed.split_once(' ').unwrap_or((needed, ""))).find(|(name, _)| has_release(name));
    let Some((name, version)) = kernel else { return Some(own) };
    let exact = version.trim().strip_prefix("(=").and_then(|rest| rest.strip_suffix(')')).map(str::trim);
    Some(exact.map_or_else(|| name.to_owned(), |exact| format!("{name}_{exact}_amd64.deb")))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::kernel::fixtures::{ar, tar};

    #[test]
    fn metapackage_stands_for_the_kernel_it_depends_on() {
        for (package, version, depends, image, expected) in [
            (
                "linux-image-amd64",
                "6.1.76-1",
                "linux-image-6.1.0-18-amd64 (= 6.1.76-1)",
                false,
                Some("linux-image-6.1.0-18-amd64_6.1.76-1_amd64.deb"),
            ),
            (
                "linux-image-generic",
                "4.15.0.58.60",
                "linux-image-4.15.0-58-generic | other, linux-firmware, intel-microcode",
                false,
                Some("linux-image-4.15.0-58-generic"),
            ),
            ("linux-image-cloud-amd64", "6.1.76-1", "", false, Some("linux-image-cloud-amd64_6.1.76-1_amd64.deb")),
            (
                "linux-image-7.2.13+deb14-cloud-amd64",
                "7.2.13-1",
                "linux-base-7.2.13+deb14-cloud-amd64 (= 7.2.13-1), kmod",
                false,
                Some("linux-image-7.2.13+deb14-cloud-amd64_7.2.13-1_amd64.deb"),
            ),
            (
                "linux-image-amd64",
                "6.1.76-1",
                "linux-image-6.1.0-18-amd64 (>= 6.1",
                false,
                Some("linux-image-6.1.0-18-amd64"),
            ),
            ("linux-headers-amd64", "6.1.76-1", "linux-image-6.1.0-18-amd64", false, None),
            ("linux-image-6.1.0-18-amd64", "6.1.76-1", "", true, None),
        ] {
            let control = format!("Package: {package}\nVersion: {version}\nArchitecture: amd64\nDepends: {depends}\n");
            let control = tar(&[("./control", control.as_bytes())]);
            let files: &[(&str, &[u8])] = if image { &[("./boot/vmlinuz-6.1", b"x")] } else { &[] };
            let members = [("debian-binary", &b"2.0\n"[..]), ("control.tar", &control), ("data.tar", &tar(files))];
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(&ar(&members)).unwrap();
            assert_eq!(stands_for(file.path()).as_deref(), expected, "{package} {depends}");
        }
        assert_eq!(stands_for(Path::new("/dev/null")), None);
    }
}
