//! Address families, and the MSS values that a SYN cookie can carry in each.

/// The address family of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// The kernel's tables of the MSS values that a cookie can carry: `msstab` in net/ipv4/syncookies.c and
/// net/ipv6/syncookies.c. Before 3.13 they had eight values.
const TABLES: [(Family, &[u16], &[u16]); 2] = [
    (Family::V4, &[536, 1300, 1440, 1460], &[64, 512, 536, 1024, 1440, 1460, 4312, 8960]),
    (Family::V6, &[1220, 1420, 1440, 8940], &[64, 512, 536, 1220, 1420, 1440, 4400, 8940]),
];

impl Family {
    /// The MSS values to try: each value of today's table.
    pub fn mss_values(self) -> &'static [u16] {
        self.tables().0
    }

    pub(super) fn tables(self) -> (&'static [u16], &'static [u16]) {
        let [(_, new4, old4), (_, new6, old6)] = TABLES;
        if self == Self::V4 { (new4, old4) } else { (new6, old6) }
    }

    /// The index of the largest value in the table that is not above `mss`. A cookie carries this index.
    pub(super) fn index(self, mss: u16, old_table: bool) -> u32 {
        let (new, old) = self.tables();
        index(if old_table { old } else { new }, mss) as u32
    }

    /// Whether a connection can get this send MSS from a cookie for `offered`, by either table.
    pub(super) fn can_send(self, offered: u16, snd_mss: u32) -> bool {
        let (new, old) = self.tables();
        // The payload of a 1500-byte packet on the TUN device.
        let room = if self == Self::V4 { 1460 } else { 1440 };
        let carried = |table: &[u16]| table.get(index(table, offered)).map(|mss| u32::from(*mss).min(room));
        [carried(new), carried(old)].contains(&Some(snd_mss))
    }
}

/// The index of the largest value that is not above `mss`; 0 if all are above it.
pub(super) fn index(table: &[u16], mss: u16) -> usize {
    table.iter().filter(|value| **value <= mss).count().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_sends_what_either_table_carries() {
        for (family, offered, snd_mss, can) in [
            (Family::V4, 1300, 1300, true),
            (Family::V4, 1300, 1024, true), // the table before 3.13
            (Family::V4, 1300, 536, false),
            (Family::V6, 8940, 1440, true),
            (Family::V6, 8940, 1220, false),
        ] {
            assert_eq!(family.can_send(offered, snd_mss), can, "{family:?} {offered} {snd_mss}");
        }
    }
}
