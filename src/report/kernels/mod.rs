//! Shows the cache, kernels and their locks.

mod archive;
mod gc;
mod list;
mod update;

pub use archive::ArchiveDocument;
pub use gc::GcDocument;
pub use list::{KernelRow, KernelsDocument, LockedRow};
pub use update::{Change, Changed, UpdateDocument};

/// Bytes for people, in at most nine characters: `512 B`, `1.5 MiB`.
pub fn bytes(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    // As it is printed: 1023.96 KiB are 1.0 MiB.
    while value >= 1023.95 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", units[unit]) }
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn bytes_are_shown_in_the_largest_unit() {
        for (number, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            (3 << 29, "1.5 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(bytes(number), shown);
        }
    }
}
