//! The time-sequence graph: sequence numbers upwards, time to the right.

use std::fmt::Write as _;

use backproof_protocol::Segment;

use super::axis::{Axis, grouped};
use super::{Placed, place, signed};

/// The picture's size in pixels.
pub(super) const WIDTH: f64 = 960.0;
pub(super) const HEIGHT: f64 = 540.0;

/// The plot within it.
const LEFT: f64 = 96.0;
const RIGHT: f64 = WIDTH - 24.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = HEIGHT - 56.0;

/// The most segments drawn of one kind: more would blur on this many pixels.
const DRAWN: usize = 1000;

/// The most ranges of one selective acknowledgement: TCP's options have room for four (RFC 2018, section 3).
const RANGES: usize = 4;

/// Colours for a browser's light and dark schemes, without variables, because other viewers would show those as black.
/// Shapes differ too: new data is a thin line, repeated data a broad one, and lost data has a cross.
const STYLE: &str = "<style>
text { font: 12px system-ui, sans-serif; fill: #1f2328; }
line, polyline { fill: none; stroke-width: 1.5; }
.paper { fill: #ffffff; } .grid { stroke: #d0d7de; stroke-width: 1; }
.new { stroke: #0969da; } .again { stroke: #bc4c00; stroke-width: 4; } .lost { stroke: #cf222e; stroke-width: 2; }
.ack { stroke: #1a7f37; } .sack { stroke: #8250df; stroke-width: 3; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; } .paper { fill: #0d1117; } .grid { stroke: #30363d; }
.new { stroke: #58a6ff; } .again { stroke: #f0883e; } .lost { stroke: #ff7b72; } .ack { stroke: #3fb950; } .sack { stroke: #bc8cff; }
}
</style>
";

/// The legend: class, words, the width of the words in pixels.
const LEGEND: [(&str, &str, f64); 5] = [
    ("new", "data", 40.0),
    ("again", "data sent again", 104.0),
    ("lost", "lost on the wire", 104.0),
    ("ack", "acknowledged", 100.0),
    ("sack", "selectively acknowledged", 160.0),
];

/// The graph of one connection, in one self-contained file. `title` may be any text. The size is bounded: a long time
/// line is thinned, and says so.
pub fn svg(title: &str, segments: &[Segment]) -> String {
    let placed: Vec<Placed> = place(segments).collect();
    let plot = Plot::of(&placed);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n<title>{0}</title>\n{STYLE}\
         <rect class=\"paper\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n\
         <text x=\"{LEFT}\" y=\"22\" font-weight=\"bold\">{0}</text>\n",
        escaped(title)
    );
    legend(&mut out);
    plot.axes(&mut out);
    let data = placed.iter().filter(|p| p.segment.data_way);
    let (odd, plain): (Vec<&Placed>, Vec<&Placed>) = data.partition(|p| p.again || p.segment.lost);
    let plain: Vec<_> = plain.into_iter().filter(|p| p.segment.length > 0).collect();
    let back: Vec<_> = placed.iter().filter(|p| !p.segment.data_way).collect();
    plot.acknowledged(&mut out, &thin(&back));
    for p in thin(&plain) {
        plot.bar(&mut out, "new", p.segment.at_us, p.from, p.to);
    }
    for p in thin(&odd) {
        plot.odd(&mut out, p);
    }
    let drawn = [odd.len(), plain.len(), back.len()].map(|count| count.min(DRAWN)).iter().sum::<usize>();
    if [odd.len(), plain.len(), back.len()].iter().any(|count| *count > DRAWN) {
        let counts = [drawn, segments.len()].map(|count| grouped(count as f64, 0));
        let [drawn, all] = counts;
        let _ = writeln!(out, "<text x=\"{LEFT}\" y=\"{}\">{drawn} of {all} segments are drawn</text>", HEIGHT - 12.0);
    }
    out.push_str("</svg>\n");
    out
}

/// At most [`DRAWN`] of these, evenly spaced, including the last.
fn thin<'a, 's>(of: &[&'a Placed<'s>]) -> Vec<&'a Placed<'s>> {
    let step = of.len().div_ceil(DRAWN).max(1);
    let mut thinned: Vec<_> = of.iter().rev().step_by(step).copied().collect();
    thinned.reverse();
    thinned
}

/// Text escaped for XML, with forbidden characters (XML 1.0, section 2.2) replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().take(300) {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

fn legend(out: &mut String) {
    let mut x = LEFT;
    for (class, words, width) in LEGEND {
        let _ = writeln!(
            out,
            "<line class=\"{class}\" x1=\"{x}\" y1=\"42\" x2=\"{}\" y2=\"42\"/><text x=\"{}\" y=\"46\">{words}</text>",
            x + 20.0,
            x + 26.0
        );
        x += 26.0 + width;
    }
}

/// The axes of one time line.
struct Plot {
    time: Axis,
    bytes: Axis,
}

fn seconds(at_us: u64) -> f64 {
    at_us as f64 / 1e6
}

impl Plot {
    fn of(placed: &[Placed<'_>]) -> Self {
        let last = placed.iter().map(|p| p.segment.at_us).max().unwrap_or(0);
        let data = placed.iter().filter(|p| p.segment.data_way);
        let (least, most) = data.fold((0, 0), |(least, most), p| (least.min(p.from), most.max(p.to)));
        Self {
            time: Axis::new(0.0, seconds(last), 1e-5, LEFT, RIGHT),
            bytes: Axis::new(least as f64, most as f64, 10.0, BOTTOM, TOP),
        }
    }

    fn axes(&self, out: &mut String) {
        let (ticks, decimals) = self.time.ticks();
        for tick in ticks {
            let x = self.time.at(tick);
            let _ = writeln!(
                out,
                "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{BOTTOM}\"/>\
                 <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                BOTTOM + 18.0,
                grouped(tick, decimals)
            );
        }
        let (ticks, decimals) = self.bytes.ticks();
        for tick in ticks {
            let y = self.bytes.at(tick);
            let _ = writeln!(
                out,
                "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{RIGHT}\" y2=\"{y:.1}\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 6.0,
                y + 4.0,
                grouped(tick, decimals)
            );
        }
        let (x, y) = ((LEFT + RIGHT) / 2.0, (TOP + BOTTOM) / 2.0);
        let _ = writeln!(
            out,
            "<text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">seconds since the first segment</text>\n\
             <text x=\"14\" y=\"{y}\" text-anchor=\"middle\" transform=\"rotate(-90 14 {y})\">sequence number, bytes</text>",
            BOTTOM + 38.0
        );
    }

    /// A vertical bar for a range of bytes, long enough to be visible.
    fn bar(&self, out: &mut String, class: &str, at_us: u64, from: i64, to: i64) {
        let x = self.time.at(seconds(at_us));
        let bottom = self.bytes.at(from as f64);
        // Repeated data is usually short, and matters most.
        let least = if class == "again" { 6.0 } else { 2.0 };
        let top = self.bytes.at(to as f64).min(bottom - least);
        let _ =
            writeln!(out, "<line class=\"{class}\" x1=\"{x:.1}\" y1=\"{bottom:.1}\" x2=\"{x:.1}\" y2=\"{top:.1}\"/>");
    }

    /// Draws lost or repeated data.
    fn odd(&self, out: &mut String, p: &Placed<'_>) {
        self.bar(out, if p.again { "again" } else { "new" }, p.segment.at_us, p.from, p.to);
        if p.segment.lost {
            let (x, y) = (self.time.at(seconds(p.segment.at_us)), self.bytes.at((p.from + p.to) as f64 / 2.0));
            for slope in [-4.0, 4.0] {
                let _ = writeln!(
                    out,
                    "<line class=\"lost\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
                    x - 4.0,
                    y - slope,
                    x + 4.0,
                    y + slope
                );
            }
        }
    }

    /// Draws the receiver's acknowledgements: steps with a tick for each, and bars for the selective ranges.
    fn acknowledged(&self, out: &mut String, back: &[&Placed<'_>]) {
        let (mut steps, mut height) = (String::new(), None);
        for p in back.iter().filter(|p| p.segment.flags & 0x10 != 0) {
            let (x, y) = (self.time.at(seconds(p.segment.at_us)), self.bytes.at(signed(p.segment.ack) as f64));
            let before = height.replace(y).unwrap_or(y);
            let _ = write!(steps, "{x:.1},{before:.1} {x:.1},{y:.1} {x:.1},{:.1} {x:.1},{y:.1} ", y + 5.0);
            for &(from, to) in p.segment.sack.iter().take(RANGES) {
                self.bar(out, "sack", p.segment.at_us, signed(from), signed(to));
            }
        }
        if !steps.is_empty() {
            let _ = writeln!(out, "<polyline class=\"ack\" points=\"{}\"/>", steps.trim_end());
        }
    }
}
