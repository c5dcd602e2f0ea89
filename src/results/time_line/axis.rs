//! An axis: maps numbers to pixels, and picks the round numbers beside it.

/// Maps a range of numbers to a range of pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    least: f64,
    most: f64,
    /// The pixel of the least number.
    start: f64,
    /// The pixel of the greatest number.
    end: f64,
}

impl Axis {
    /// The axis from `least` to `most`, or to `least + span` if that is more.
    pub(super) fn new(least: f64, most: f64, span: f64, start: f64, end: f64) -> Self {
        Self { least, most: most.max(least + span), start, end }
    }

    /// The pixel of a number. Numbers beyond the axis are at its ends.
    pub(super) fn at(&self, number: f64) -> f64 {
        let share = (number.clamp(self.least, self.most) - self.least) / (self.most - self.least);
        self.start + share * (self.end - self.start)
    }

    /// At most a dozen round numbers on the axis, and the decimals that they need.
    pub(super) fn ticks(&self) -> (Vec<f64>, usize) {
        let rough = (self.most - self.least) / 8.0;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|n| n * power).find(|step| *step >= rough).unwrap_or(rough);
        let first = (self.least / step).ceil();
        let ticks = (0..12_u8).map(|n| (first + f64::from(n)) * step).take_while(|tick| *tick <= self.most);
        // A step is at least a microsecond, so 6 decimals are enough.
        let decimals = (0..=6_u8).find(|decimals| step * 10_f64.powi(i32::from(*decimals)) >= 0.999).unwrap_or(6);
        (ticks.collect(), usize::from(decimals))
    }
}

/// A number with commas between thousands.
pub(super) fn grouped(number: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", number.abs());
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let mut out = String::from(if number < 0.0 { "\u{2212}" } else { "" });
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(rest) = rest {
        out.push('.');
        out.push_str(rest);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        for (least, most, expected, decimals) in [
            (0.0, 6.5, &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0][..], 0),
            (-1.0, 28_961.0, &[0.0, 5000.0, 10_000.0, 15_000.0, 20_000.0, 25_000.0], 0),
            (0.0, 0.001, &[0.0, 0.0002, 0.0004, 0.0006, 0.0008, 0.001], 4),
        ] {
            let (ticks, found) = Axis::new(least, most, 1e-6, 0.0, 1.0).ticks();
            assert_eq!((ticks.len(), found), (expected.len(), decimals), "{ticks:?}");
            assert!(ticks.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{ticks:?}");
        }
        for most in [1e-9, 1.0, 1e19] {
            let (ticks, _) = Axis::new(0.0, most, 1e-6, 0.0, 1.0).ticks();
            assert!((2..=12).contains(&ticks.len()), "{most}: {ticks:?}");
        }
    }

    #[test]
    fn large_numbers_are_grouped() {
        for (number, decimals, text) in
            [(0.0, 0, "0"), (999.0, 0, "999"), (1000.0, 0, "1,000"), (-1_234_567.25, 1, "\u{2212}1,234,567.2")]
        {
            assert_eq!(grouped(number, decimals), text);
        }
    }
}
