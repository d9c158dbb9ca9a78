//! A report as an SVG: a panel for each section, a bar for each row's median, a line from minimum to maximum.
//! Each panel has a scale of its own, from zero.

use std::fmt::Write as _;

use super::report::{Report, Row, Section, number};

/// The width of the README's other pictures.
const WIDTH: f64 = 884.0;
const MARGIN: f64 = 20.0;
/// Where the bars begin, and the length of the longest.
const BARS: f64 = 320.0;
const LONGEST: f64 = 330.0;
const ROW: f64 = 22.0;
const TITLE: f64 = 30.0;
const GAP: f64 = 12.0;

pub(crate) struct Colours {
    pub(crate) name: &'static str,
    background: &'static str,
    text: &'static str,
    muted: &'static str,
    gateway: &'static str,
    other: &'static str,
}

impl Colours {
    pub(crate) const LIGHT: Self = Self {
        name: "light",
        background: "#ffffff",
        text: "#1f2328",
        muted: "#59636e",
        gateway: "#0969da",
        other: "#afb8c1",
    };
    pub(crate) const DARK: Self = Self {
        name: "dark",
        background: "#0d1117",
        text: "#f0f6fc",
        muted: "#9198a1",
        gateway: "#4493f8",
        other: "#484f58",
    };
}

pub(crate) fn svg(report: &Report, colours: &Colours) -> String {
    let mut body = String::new();
    let mut y = MARGIN;
    text(&mut body, MARGIN, y + 14.0, colours.text, "16", report.title);
    y += TITLE;
    for section in &report.sections {
        y = panel(&mut body, section, y, colours) + GAP;
    }
    for line in &report.environment {
        text(&mut body, MARGIN, y + 10.0, colours.muted, "11", line);
        y += 16.0;
    }
    let height = y + MARGIN;
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif" role="img">
<title>{}</title>
<rect width="100%" height="100%" fill="{}"/>
{body}</svg>
"#,
        escaped(report.title),
        colours.background
    )
}

/// Draws a section from `y` on; returns where it ends.
fn panel(svg: &mut String, section: &Section, y: f64, colours: &Colours) -> f64 {
    let title = format!("{}, {}", section.title, section.unit);
    text(svg, MARGIN, y + 15.0, colours.text, "13", &title);
    let most = section.rows.iter().map(|row| row.values.max()).fold(0.0, f64::max);
    let mut y = y + 22.0;
    for row in &section.rows {
        bar(svg, section, row, y, LONGEST / most, colours);
        y += ROW;
    }
    y
}

fn bar(svg: &mut String, section: &Section, row: &Row, y: f64, scale: f64, colours: &Colours) {
    let (min, median, max) = (row.values.min(), row.values.median(), row.values.max());
    let fill = if row.is_gateway { colours.gateway } else { colours.other };
    text(svg, MARGIN + 10.0, y + 14.0, colours.text, "12", &row.name);
    let width = median * scale;
    writeln!(
        svg,
        r#"<rect x="{BARS}" y="{:.1}" width="{width:.1}" height="14" rx="2" fill="{fill}"/>"#,
        y + 3.0
    )
    .unwrap();
    writeln!(
        svg,
        r#"<path d="M{:.1} {middle:.1}H{:.1}" stroke="{}" stroke-width="1.5"/>"#,
        BARS + min * scale,
        BARS + max * scale,
        colours.text,
        middle = y + 10.0
    )
    .unwrap();
    let mut label = number(median);
    if let Some(ratio) = &row.ratio {
        write!(label, "  ({}: {:.2})", section.ratio, ratio.median()).unwrap();
    }
    text(svg, BARS + max.max(median) * scale + 8.0, y + 14.0, colours.muted, "12", &label);
}

fn text(svg: &mut String, x: f64, y: f64, fill: &str, size: &str, text: &str) {
    let text = escaped(text);
    writeln!(
        svg,
        r#"<text x="{x:.1}" y="{y:.1}" fill="{fill}" font-size="{size}" xml:space="preserve">{text}</text>"#
    )
    .unwrap();
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
