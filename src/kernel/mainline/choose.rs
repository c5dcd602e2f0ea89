//! Chooses the packages of a folder that make up one kernel.

use std::collections::BTreeMap;

use crate::matrix::MainlineVersion;

/// The digits of a build's date, which identifies the build: year, month, day, hour, minute.
const DATE: usize = 12;

/// A package of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    /// Its name, checked to be one of the version's, so it contains no path.
    pub(super) name: String,
    pub(super) sha256: String,
}

/// One build of a version for amd64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MainlineBuild {
    /// Its date, from its packages' versions: `201907031431`.
    pub(super) date: String,
    /// The other builds of the same folder, which are older or incomplete.
    pub(super) others: Vec<String>,
    pub(super) packages: Vec<Listed>,
}

/// The kinds of packages that make up kernels.
const KINDS: [&str; 3] = ["image-unsigned", "image", "modules"];

/// The date in the name of a version's package of this kind, of the generic configuration for amd64.
fn date<'n>(version: &MainlineVersion, kind: &str, name: &'n str) -> Option<&'n str> {
    let numbers = version.numbers();
    let date = name.strip_prefix("linux-")?.strip_prefix(kind)?.strip_prefix('-')?.strip_prefix(&numbers)?;
    let date = date.strip_prefix("-generic_")?.strip_prefix(&numbers)?.strip_prefix('.')?.strip_suffix("_amd64.deb")?;
    (date.len() == DATE && date.bytes().all(|b| b.is_ascii_digit())).then_some(date)
}

/// The date in the name of any of a version's packages that make up kernels.
pub(super) fn date_of<'n>(version: &MainlineVersion, name: &'n str) -> Option<&'n str> {
    KINDS.iter().find_map(|kind| date(version, kind, name))
}

/// The packages of one date.
#[derive(Default)]
struct Packages {
    unsigned: Option<Listed>,
    image: Option<Listed>,
    modules: Option<Listed>,
}

impl Packages {
    /// The packages of one kernel. In older builds (4.12.4 of 2017), the image's package has the modules too; newer
    /// ones (4.14.120 of 2019) have an unsigned image and a package of modules. `linux-modules-extra` does not exist
    /// here.
    fn of_kernel(self) -> Option<Vec<Listed>> {
        match self {
            Self { unsigned: Some(image), modules: Some(modules), .. } => Some(vec![image, modules]),
            Self { image: Some(image), modules, .. } => Some([Some(image), modules].into_iter().flatten().collect()),
            _ => None,
        }
    }
}

/// The newest complete build with Ubuntu's generic configuration among the files in a folder's checksums. `None` if the
/// build failed, or was only for other architectures.
pub(super) fn newest(version: &MainlineVersion, sums: &BTreeMap<&str, &str>) -> Option<MainlineBuild> {
    let mut builds: BTreeMap<&str, Packages> = BTreeMap::new();
    for kind in KINDS {
        for (&name, &sha256) in sums {
            let Some(date) = date(version, kind, name) else { continue };
            let packages = builds.entry(date).or_default();
            let place = match kind {
                "image-unsigned" => &mut packages.unsigned,
                "image" => &mut packages.image,
                _ => &mut packages.modules,
            };
            *place = Some(Listed { name: name.to_owned(), sha256: sha256.to_owned() });
        }
    }
    let dates: Vec<String> = builds.keys().map(|date| (*date).to_owned()).collect();
    let whole = builds.into_iter().rev().find_map(|(date, packages)| Some((date, packages.of_kernel()?)));
    let (date, packages) = whole?;
    let others = dates.into_iter().filter(|other| other != date).collect();
    Some(MainlineBuild { date: date.to_owned(), others, packages })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version(text: &str) -> MainlineVersion {
        text.parse().unwrap_or_else(|_| panic!("{text}"))
    }

    fn newest_of(text: &str, names: &[&str]) -> Option<(String, Vec<String>, Vec<String>)> {
        let sum = "a".repeat(64);
        let sums = names.iter().map(|name| (*name, sum.as_str())).collect();
        let MainlineBuild { date, others, packages } = newest(&version(text), &sums)?;
        Some((date, others, packages.into_iter().map(|p| p.name).collect()))
    }

    const IMAGE: &str = "linux-image-unsigned-4.19.57-041957-generic_4.19.57-041957.201907031431_amd64.deb";
    const MODULES: &str = "linux-modules-4.19.57-041957-generic_4.19.57-041957.201907031431_amd64.deb";

    #[test]
    fn newest_build_is_chosen_in_old_and_new_layouts() {
        let new = [
            "COMMIT",
            "linux-headers-4.19.57-041957-generic_4.19.57-041957.201907031431_amd64.deb",
            "linux-headers-4.19.57-041957_4.19.57-041957.201907031431_all.deb",
            "linux-image-4.19.57-041957-generic-lpae_4.19.57-041957.201907031431_armhf.deb",
            "linux-image-4.19.57-041957-generic_4.19.57-041957.201907031431_arm64.deb",
            "linux-image-4.19.57-041957-snapdragon_4.19.57-041957.201907031431_arm64.deb",
            "linux-image-unsigned-4.19.57-041957-lowlatency_4.19.57-041957.201907031431_amd64.deb",
            "linux-modules-4.19.57-041957-lowlatency_4.19.57-041957.201907031431_amd64.deb",
            "linux-modules-4.19.57-041957-generic_4.19.57-041957.201907031431_i386.deb",
            "linux-image-unsigned-4.19.57-041957-generic-64k_4.19.57-041957.201907031431_amd64.deb",
            IMAGE,
            MODULES,
        ];
        let found = newest_of("v4.19.57", &new);
        let expected = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(found, Some(("201907031431".to_owned(), Vec::new(), expected(&[IMAGE, MODULES]))));

        let old = "linux-image-4.12.4-041204-generic_4.12.4-041204.201707271932_amd64.deb";
        let lowlatency = "linux-image-4.12.4-041204-lowlatency_4.12.4-041204.201707271932_amd64.deb";
        let found = newest_of("v4.12.4", &[old, lowlatency]);
        assert_eq!(found, Some(("201707271932".to_owned(), Vec::new(), expected(&[old]))));
        let candidate = "linux-image-4.2.0-040200rc7-generic_4.2.0-040200rc7.201508162330_amd64.deb";
        assert!(newest_of("v4.2-rc7-unstable", &[candidate]).is_some());
        assert!(newest_of("v4.2-rc6-unstable", &[candidate]).is_none() && newest_of("v4.2", &[candidate]).is_none());
    }

    #[test]
    fn newest_complete_build_wins_and_the_others_are_named() {
        let newer = [IMAGE, MODULES].map(|name| name.replace("0703", "0704"));
        let all = [IMAGE, MODULES, &newer[0], &newer[1]];
        let (date, others, packages) = newest_of("v4.19.57", &all).unwrap();
        assert_eq!((date.as_str(), others), ("201907041431", vec!["201907031431".to_owned()]));
        assert_eq!(packages, newer);
        let (date, others, _) = newest_of("v4.19.57", &all[..3]).unwrap();
        assert_eq!((date.as_str(), others), ("201907031431", vec!["201907041431".to_owned()]));
    }

    #[test]
    fn no_build_is_chosen_when_none_is_complete() {
        let checked = |names: &[&str]| newest_of("v4.19.57", names);
        assert_eq!(checked(&[]), None);
        assert_eq!(checked(&["COMMIT", "crack.bundle"]), None);
        assert_eq!(checked(&[IMAGE]), None, "an image without its modules");
        assert_eq!(checked(&[MODULES]), None);
        // Another version's packages, and names that lead elsewhere.
        let other = [IMAGE, MODULES].map(|name| name.replace("57", "58"));
        assert_eq!(checked(&[&other[0], &other[1]]), None);
        for prefix in ["../", "/", "./", "amd64/", "https://elsewhere.example/"] {
            let hostile = [IMAGE, MODULES].map(|name| format!("{prefix}{name}"));
            assert_eq!(checked(&[&hostile[0], &hostile[1]]), None, "{prefix}");
        }
        for date in ["", "2019", "201907031431/../x", "20190703143１", "2019070314311"] {
            let hostile = [IMAGE, MODULES].map(|name| name.replace("201907031431", date));
            assert_eq!(checked(&[&hostile[0], &hostile[1]]), None, "{date}");
        }
    }

    proptest! {
        #[test]
        fn chosen_packages_are_plain_files_of_the_version(
            names in prop::collection::vec("linux-(image|image-unsigned|modules)-4.19.57-041957-generic_4.19.57-041957.[0-9./]{10,13}_amd64.deb", 0..9)
        ) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            if let Some((date, others, packages)) = newest_of("v4.19.57", &names) {
                prop_assert!(!others.contains(&date) && (1..=2).contains(&packages.len()));
                prop_assert!(packages.iter().all(|name| !name.contains('/') && name.contains(&date)));
            }
        }
    }
}
