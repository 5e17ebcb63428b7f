//! Plots as SVG, without a library: bars, and lines over a logarithmic axis.

use std::fmt::Write as _;

use crate::report::Spread;

const WIDTH: f64 = 900.0;
const INK: &str = "#333";
const COLORS: [&str; 4] = ["#1f77b4", "#d62728", "#2ca02c", "#9467bd"];

pub struct Bar {
    pub label: String,
    pub spread: Spread,
}

/// One line of a plot.
pub struct Line {
    pub label: String,
    pub points: Vec<(f64, f64)>,
}

fn open(height: f64, title: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"{INK}\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"10\" y=\"20\" font-size=\"14\">{title}</text>\n"
    )
}

/// Horizontal bars, one below the other.
pub fn bars(title: &str, all: &[Bar]) -> String {
    const ROW: f64 = 22.0;
    const LEFT: f64 = 380.0;
    const TOP: f64 = 34.0;
    #[expect(clippy::cast_precision_loss, reason = "some tens of rows")]
    let row = |number: usize| TOP + ROW * number as f64;
    let most = all.iter().map(|bar| bar.spread.most).fold(1.0, f64::max);
    let scale = (WIDTH - LEFT - 70.0) / most;
    let mut svg = open(row(all.len()) + 10.0, title);
    for (number, Bar { label, spread }) in all.iter().enumerate() {
        let top = row(number);
        let color = if label.starts_with("Tidegate") { COLORS[0] } else { "#999" };
        let Spread { least, median, most } = spread;
        let (end, from, to) = (median * scale, LEFT + least * scale, LEFT + most * scale);
        // Writing to a String can't fail.
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{label}</text>\n\
             <rect x=\"{LEFT}\" y=\"{}\" width=\"{end:.1}\" height=\"14\" fill=\"{color}\"/>\n\
             <path d=\"M{from:.1} {m:.1}H{to:.1}\" stroke=\"#000\" stroke-width=\"2\"/>\n\
             <text x=\"{}\" y=\"{}\">{median:.0}</text>\n",
            LEFT - 8.0,
            top + 14.0,
            top + 3.0,
            to + 6.0,
            top + 14.0,
            m = top + 10.0,
        );
    }
    svg + "</svg>\n"
}

/// Lines over a logarithmic horizontal axis (of 1 + x, where it begins with zero); the vertical one begins at zero.
pub fn lines(title: &str, across: &str, up: &str, all: &[Line]) -> String {
    const HEIGHT: f64 = 340.0;
    const LEFT: f64 = 70.0;
    const RIGHT: f64 = 220.0;
    const TOP: f64 = 40.0;
    const BOTTOM: f64 = 50.0;
    let points = || all.iter().flat_map(|line| &line.points);
    let least = points().map(|point| point.0).fold(f64::INFINITY, f64::min);
    let most = points().map(|point| point.0).fold(least + 0.001, f64::max);
    let top = points().map(|point| point.1).fold(0.0, f64::max) * 1.1;
    let log = |value: f64| if least > 0.0 { value.ln() } else { value.ln_1p() };
    let x = |value: f64| {
        LEFT + (log(value) - log(least)) / (log(most) - log(least)) * (WIDTH - LEFT - RIGHT)
    };
    let y = |value: f64| HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM);
    let mut svg = open(HEIGHT, title);
    let mut marks: Vec<f64> = points().map(|point| point.0).collect();
    marks.sort_by(f64::total_cmp);
    marks.dedup();
    for mark in marks {
        let (at, base) = (x(mark), HEIGHT - BOTTOM);
        let _ = write!(
            svg,
            "<path d=\"M{at:.1} {TOP}V{base}\" stroke=\"#eee\"/>\n\
             <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{mark}</text>\n",
            base + 16.0
        );
    }
    for part in 0..=4 {
        let value = top * f64::from(part) / 4.0;
        let at = y(value);
        let decimals = usize::from(top < 10.0);
        let _ = write!(
            svg,
            "<path d=\"M{LEFT} {at:.1}H{}\" stroke=\"#eee\"/>\n\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{value:.decimals$}</text>\n",
            WIDTH - RIGHT,
            LEFT - 6.0,
            at + 4.0
        );
    }
    for (number, line) in all.iter().enumerate() {
        let color = COLORS[number % COLORS.len()];
        let path: Vec<_> = line
            .points
            .iter()
            .map(|point| format!("{:.1} {:.1}", x(point.0), y(point.1)))
            .collect();
        let _ = writeln!(
            svg,
            "<path d=\"M{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>",
            path.join("L")
        );
        for point in &line.points {
            let (x, y) = (x(point.0), y(point.1));
            let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{color}\"/>");
        }
        #[expect(clippy::cast_precision_loss, reason = "a few lines")]
        let key = TOP + 10.0 + 20.0 * number as f64;
        let _ = write!(
            svg,
            "<path d=\"M{} {key}h20\" stroke=\"{color}\" stroke-width=\"2\"/>\n\
             <text x=\"{}\" y=\"{}\">{}</text>\n",
            WIDTH - RIGHT + 10.0,
            WIDTH - RIGHT + 36.0,
            key + 4.0,
            line.label
        );
    }
    let _ = write!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{across}</text>\n\
         <text x=\"{LEFT}\" y=\"{}\">{up}</text>\n",
        f64::midpoint(WIDTH - RIGHT, LEFT),
        HEIGHT - 12.0,
        TOP - 6.0
    );
    svg + "</svg>\n"
}
