use proptest::prelude::*;

use super::super::fixtures::{listing, page};
use super::*;

fn shown(versions: Result<Vec<MainlineVersion>, NotAnIndex>) -> Vec<String> {
    versions.unwrap().iter().map(ToString::to_string).collect()
}

#[test]
fn versions_of_the_root_are_its_folders_of_releases() {
    let root = listing(&[
        "?C=N;O=D",
        "/",
        "daily/",
        "drm-tip/",
        "v2.6.32/",
        "v4.19.57/",
        "v4.19.6/",
        "v4.4-wily/",
        "v5.2/",
        "v5.2-rc6/",
        "v4.19.57/",
        "../v4.19.58/",
        "/mainline/v4.19.59/",
        "https://elsewhere.example/v4.19.60/",
        "v4.19.61",
        "v4.19.62//",
        "v4.19.63/x/",
        "V4.19.64/",
        "v4.19.%36/",
        "v4.19.65/?x",
    ]);
    assert_eq!(shown(versions(&root)), ["v4.4-wily", "v4.19.6", "v4.19.57", "v5.2-rc6", "v5.2"]);
}

#[test]
fn layout_follows_from_the_place_of_amd64_packages() {
    let image = "linux-image-unsigned-4.19.57-041957-generic_4.19.57-041957.201907031431_amd64.deb";
    let below = format!("amd64/{image}");
    let other = "linux-image-4.19.57-041957-generic_4.19.57-041957.201907031431_arm64.deb";
    for (links, layouts_there) in [
        (&["BUILD.LOG", "CHECKSUMS", "CHECKSUMS.gpg", image, other][..], &[ArchiveLayout::Flat][..]),
        (&["CHECKSUMS", "amd64/", "arm64/", "crack.bundle"], &[ArchiveLayout::PerArchitecture]),
        (&["CHECKSUMS", below.as_str(), "amd64/log"], &[ArchiveLayout::PerArchitecture]),
        (&[image, "amd64/"], &[ArchiveLayout::Flat, ArchiveLayout::PerArchitecture]),
        // Builds that failed.
        (&["BUILD.LOG", "BUILD.LOG.amd64", "COMMIT", "SOURCES"], &[]),
        (&["amd64/log", "arm64/log"], &[]),
        (&["CHECKSUMS", other], &[]),
    ] {
        assert_eq!(layouts(&listing(links)).as_deref(), Ok(layouts_there), "{links:?}");
    }
}

#[test]
fn page_of_another_site_is_not_an_index() {
    let portal = page("<h1>Welcome to the hotel</h1><a href=\"/login\">Log in</a><a href=\"v/\">v</a>");
    for garbage in
        [&portal[..], b"", b"\xff\xfe\0href=\"", b"{\"href\": \"v5.2/\"}", &listing(&["login.html", "images/"])]
    {
        assert!(matches!(versions(garbage), Err(NotAnIndex::Foreign(_))));
        assert!(matches!(layouts(garbage), Err(NotAnIndex::Foreign(_))));
    }
}

#[test]
fn endless_page_is_rejected() {
    let many = "<a href=\"v5.2/\">".repeat(1_000_000);
    assert_eq!(versions(many.as_bytes()), Err(NotAnIndex::TooManyLinks));
    let long = format!("<a href=\"v5.{}/\"><a href=\"v5.2/\">", "9".repeat(1 << 20));
    assert_eq!(shown(versions(long.as_bytes())), ["v5.2"]);
    let unclosed = "href=\"".repeat(19_999);
    assert!(matches!(versions(unclosed.as_bytes()), Err(NotAnIndex::Foreign(_))));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = (versions(&bytes), layouts(&bytes));
    }

    #[test]
    fn only_versions_are_read_from_links(links in prop::collection::vec("[v0-9./a-z\"<>%-]{0,12}", 0..20)) {
        let links: Vec<&str> = links.iter().map(String::as_str).collect();
        for version in versions(&listing(&links)).unwrap_or_default() {
            let folder = format!("{version}/");
            prop_assert!(links.iter().any(|link| link.starts_with(&folder)));
        }
    }
}
