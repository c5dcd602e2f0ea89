//! Simulated losses of a link, the same in every run. Like real ones, they come in bursts with quiet times between
//! them.

/// The Gilbert model: a good link loses nothing, a bad link loses every packet. Each packet may switch it.
#[derive(Clone, Debug)]
pub struct Loss {
    state: u64,
    bad: bool,
    left: u32,
}

/// The chance, in thousandths, that a packet turns a good link bad.
pub const TURNS_BAD: u64 = 30;
/// The chance, in thousandths, that a packet turns a bad link good. A burst has three packets on average.
const TURNS_GOOD: u64 = 330;

impl Loss {
    /// The losses for `seed`, among the first `packets` only. After these the link stays good.
    pub fn new(seed: u64, packets: u32) -> Self {
        Self { state: seed, bad: false, left: packets }
    }

    /// Whether the next packet is lost.
    pub fn loses(&mut self) -> bool {
        let Some(left) = self.left.checked_sub(1) else { return false };
        self.left = left;
        let chance = if self.bad { TURNS_GOOD } else { TURNS_BAD };
        if self.next() % 1000 < chance {
            self.bad = !self.bad;
        }
        self.bad
    }

    /// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn losses(seed: u64, packets: u32, count: usize) -> Vec<bool> {
        let mut loss = Loss::new(seed, packets);
        (0..count).map(|_| loss.loses()).collect()
    }

    #[test]
    fn seed_always_loses_the_same_packets() {
        assert_eq!(losses(7, 500, 600), losses(7, 500, 600));
        assert_ne!(losses(7, 500, 600), losses(8, 500, 600));
    }

    #[test]
    fn losses_come_in_bursts_and_end() {
        let lost = losses(1, 20_000, 21_000);
        assert!(lost[20_000..].iter().all(|l| !l));
        let all = lost.iter().filter(|l| **l).count();
        let bursts = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count();
        // In the long run one packet in twelve is lost, about three at a time.
        assert!((1200..2200).contains(&all), "{all}");
        assert!((2.0..4.5).contains(&(all as f64 / bursts as f64)), "{all} in {bursts}");
    }
}
