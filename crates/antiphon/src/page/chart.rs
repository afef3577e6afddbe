//! Charts as SVG paths on a plane of 1000 by 300, which the page stretches.

use std::fmt::Write;

use serde::Serialize;

use super::scale::Tick;

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 300.0;

/// A chart, ready to print.
#[derive(Debug, Serialize)]
pub(super) struct Chart {
    /// Its anchor.
    pub(super) id: &'static str,
    /// Its heading.
    pub(super) title: &'static str,
    /// What it shows, in a sentence; all there is to say where it shows nothing.
    pub(super) lead: String,
    /// What the vertical axis counts.
    pub(super) unit: String,
    /// Shapes from the back to the front.
    pub(super) shapes: Vec<Shape>,
    /// Labels from the bottom up.
    pub(super) y: Vec<Tick>,
    /// Labels from left to right.
    pub(super) x: Vec<Tick>,
    /// What the colours mean.
    pub(super) keys: Vec<Key>,
}

/// A shape of a chart.
#[derive(Debug, Serialize)]
pub(super) struct Shape {
    /// Its class in the style sheet.
    pub(super) class: &'static str,
    /// Its path.
    pub(super) d: String,
    /// What is told of it when it is pointed at.
    pub(super) title: Option<String>,
}

/// What a colour means.
#[derive(Debug, Serialize)]
pub(super) struct Key {
    pub(super) class: &'static str,
    pub(super) label: String,
}

impl Chart {
    /// A chart with nothing to draw.
    pub(super) fn empty(id: &'static str, title: &'static str, lead: impl Into<String>) -> Self {
        Self {
            id,
            title,
            lead: lead.into(),
            unit: String::new(),
            shapes: Vec::new(),
            y: Vec::new(),
            x: Vec::new(),
            keys: Vec::new(),
        }
    }
}

pub(super) fn key(class: &'static str, label: impl Into<String>) -> Key {
    Key {
        class,
        label: label.into(),
    }
}

/// A value that holds from one share of the horizontal axis to another; the value is a share of the vertical one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) value: f64,
}

/// The area under values that stay the same for a while.
pub(super) fn steps(class: &'static str, spans: &[Span]) -> Shape {
    let mut d = String::new();
    if let Some(first) = spans.first() {
        // writing to a string cannot fail
        let _ok = write!(d, "M{} {HEIGHT}", x(first.from));
        for span in spans {
            let _ok = write!(d, "V{}H{}", y(span.value), x(span.to));
        }
        let _ok = write!(d, "V{HEIGHT}Z");
    }
    Shape {
        class,
        d,
        title: None,
    }
}

/// A line through points, each a share of both axes, and the area under it.
pub(super) fn line(points: &[(f64, f64)]) -> [Shape; 2] {
    let mut d = String::new();
    for (number, point) in points.iter().enumerate() {
        let letter = if number == 0 { 'M' } else { 'L' };
        let _ok = write!(d, "{letter}{} {}", x(point.0), y(point.1));
    }
    let area = match (points.first(), points.last()) {
        (Some(first), Some(last)) => format!("{d}L{} {HEIGHT}L{} {HEIGHT}Z", x(last.0), x(first.0)),
        _ => String::new(),
    };
    let shape = |class, d| Shape {
        class,
        d,
        title: None,
    };
    [shape("area", area), shape("line", d)]
}

/// A bar from the bottom up, with a little air on both sides.
pub(super) fn bar(class: &'static str, span: Span, title: String) -> Shape {
    let air = (span.to - span.from) * 0.06;
    Shape {
        class,
        d: format!(
            "M{} {HEIGHT}V{}H{}V{HEIGHT}Z",
            x(span.from + air),
            y(span.value),
            x(span.to - air)
        ),
        title: Some(title),
    }
}

/// A mark at the top of the plane.
pub(super) fn mark(class: &'static str, span: Span, title: String) -> Shape {
    Shape {
        class,
        d: format!("M{} 0H{}V12H{0}Z", x(span.from), x(span.to)),
        title: Some(title),
    }
}

/// A line across the plane, from top to bottom.
pub(super) fn upright(class: &'static str, at: f64, title: String) -> Shape {
    Shape {
        class,
        d: format!("M{} 0V{HEIGHT}", x(at)),
        title: Some(title),
    }
}

fn x(share: f64) -> f64 {
    place(share, WIDTH)
}

fn y(share: f64) -> f64 {
    place(1.0 - share.clamp(0.0, 1.0), HEIGHT)
}

/// To a tenth, and never beside the plane.
fn place(share: f64, length: f64) -> f64 {
    (share.clamp(0.0, 1.0) * length * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_stand_on_the_bottom_and_stay_within() {
        let span = |from, to, value| Span { from, to, value };
        let area = steps("area", &[span(0.0, 0.5, 0.5), span(0.5, 1.0, 2.0)]);
        assert_eq!(area.d, "M0 300V150H500V0H1000V300Z");
        assert_eq!(steps("area", &[]).d, "");
        let [under, over] = line(&[(0.0, 0.0), (1.0, 1.0)]);
        assert_eq!(over.d, "M0 300L1000 0");
        assert_eq!(under.d, "M0 300L1000 0L1000 300L0 300Z");
        assert_eq!(line(&[])[0].d, "");
        let bar = bar("bar", span(0.0, 0.1, 0.25), "9 answers".to_owned());
        assert_eq!(bar.d, "M6 300V225H94V300Z");
        assert_eq!(
            mark("limited", span(0.1, 0.2, 0.0), String::new()).d,
            "M100 0H200V12H100Z"
        );
        assert_eq!(upright("quantile", 0.5, String::new()).d, "M500 0V300");
    }
}
