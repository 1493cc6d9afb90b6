//! Charts as inline SVG. Their colors are names for the style sheet, which knows light, dark and print.

use std::ops::Range;

use plotters::coord::types::RangedCoordf64;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::metrics::{Curve, Curves};
use crate::{Error, Result};

/// Text and axes, grid, the reference, then the sides in order: page.css gives each its colors.
const INK: RGBColor = RGBColor(0x10, 0x11, 0x12);
const GRID: RGBColor = RGBColor(0xD0, 0xD1, 0xD2);
pub(super) const REFERENCE: RGBColor = RGBColor(0x50, 0x50, 0x51);
pub(super) const SIDES: [RGBColor; 2] = [RGBColor(0x1F, 0x6F, 0xB2), RGBColor(0xC8, 0x58, 0x1C)];
/// Errors are drawn twice as wide as they are: 95 %.
const BAND: f64 = 2.0;

/// Width and height in pixels: a phone shows the first about as it is.
pub(super) type Size = (u32, u32);
pub(super) const WIDE: Size = (440, 280);
pub(super) const SMALL: Size = (300, 190);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Plot<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
type Drawn<T = ()> = std::result::Result<T, DrawingAreaErrorKind<std::io::Error>>;

/// A chart of that size, drawn by `draw`.
fn svg(size: Size, draw: impl FnOnce(&Area) -> Drawn) -> Result<String> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        draw(&area)
            .and_then(|()| area.present())
            .map_err(|error| Error::Numeric(format!("a chart could not be drawn: {error}")))?;
    }
    Ok(text)
}

fn font(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

/// One axis: its values, what they are, and about how many of them are written. None are where that is 0.
struct Axis<'a> {
    range: Range<f64>,
    name: &'a str,
    labels: usize,
    label: &'a dyn Fn(&f64) -> String,
}

impl<'a> Axis<'a> {
    fn new(range: Range<f64>, name: &'a str, labels: usize) -> Self {
        Axis { range, name, labels, label: &|value| tick(*value) }
    }
}

/// The axes and the grid that all charts have.
fn plot<'a, 'b>(area: &'a Area<'b>, x: Axis, y: Axis) -> Drawn<Plot<'a, 'b>> {
    let mut plot = ChartBuilder::on(area)
        .margin(8)
        .margin_right(18)
        .x_label_area_size(if x.name.is_empty() { 24 } else { 36 })
        .y_label_area_size(52)
        .build_cartesian_2d(x.range, y.range)?;
    let mut mesh = plot.configure_mesh();
    if x.labels == 0 {
        mesh.disable_x_mesh();
    }
    mesh.light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(INK)
        .label_style(font(11))
        .axis_desc_style(font(12))
        .x_labels(x.labels)
        .y_labels(y.labels)
        .x_desc(x.name)
        .y_desc(y.name)
        .x_label_formatter(x.label)
        .y_label_formatter(y.label)
        .draw()?;
    Ok(plot)
}

fn line(plot: &mut Plot, points: Vec<(f64, f64)>, color: RGBColor, width: u32) -> Drawn {
    plot.draw_series([PathElement::new(points, color.stroke_width(width))]).map(drop)
}

/// Densities on one axis: the reference with its band, then the sides.
pub(super) fn densities(curves: &Curves, x: &str, y: &str, size: Size) -> Result<String> {
    let all = || std::iter::once(&curves.reference).chain(&curves.sides);
    let highest = |curve: &Curve| {
        curve.density.iter().zip(&curve.error).map(|(d, e)| d + BAND * e).fold(0.0_f64, f64::max)
    };
    let top = 1.05 * all().map(highest).fold(f64::MIN_POSITIVE, f64::max);
    // The empty end of an axis says nothing.
    let used = |curve: &Curve| curve.density.iter().rposition(|&density| density > 0.0).unwrap_or(0);
    let bins = (all().map(used).fold(0, usize::max) + 2).min(curves.reference.density.len());
    let width = (curves.stop - curves.start) / curves.reference.density.len() as f64;
    // Steps: a histogram is flat within its bins.
    let steps = |value: &dyn Fn(usize) -> f64| -> Vec<(f64, f64)> {
        let edge = |k: usize| curves.start + k as f64 * width;
        (0..bins).flat_map(|k| [(edge(k), value(k)), (edge(k + 1), value(k))]).collect()
    };
    let reference = &curves.reference;
    let upper = steps(&|k| reference.density[k] + BAND * reference.error[k]);
    let lower = steps(&|k| (reference.density[k] - BAND * reference.error[k]).max(0.0));
    let band: Vec<(f64, f64)> = upper.into_iter().chain(lower.into_iter().rev()).collect();
    svg(size, |area| {
        let across = curves.start..curves.start + bins as f64 * width;
        let labels = if size.0 > SMALL.0 { 9 } else { 5 };
        let mut plot = plot(area, Axis::new(across, x, labels), Axis::new(0.0..top, y, 5))?;
        plot.draw_series([Polygon::new(band, REFERENCE.mix(0.3))])?;
        for (curve, color) in all().zip(std::iter::once(REFERENCE).chain(SIDES)) {
            line(&mut plot, steps(&|k| curve.density[k]), color, 2)?;
        }
        Ok(())
    })
}

/// One value with its standard error in each category; none where it is not known.
pub(super) struct Points {
    pub(super) color: RGBColor,
    pub(super) values: Vec<Option<(f64, f64)>>,
}

/// Values with error bars by category, and a level drawn across.
pub(super) fn points(
    categories: &[String],
    series: &[Points],
    level: Option<f64>,
    y: &str,
    (low, high): (Option<f64>, f64),
) -> Result<String> {
    let mut range = (low.unwrap_or(f64::INFINITY), high);
    for (value, error) in series.iter().flat_map(|points| points.values.iter().flatten()) {
        range = (range.0.min(value - BAND * error), range.1.max(value + BAND * error));
    }
    if let Some(level) = level {
        range = (range.0.min(level), range.1.max(level));
    }
    let margin = 0.06 * (range.1 - range.0).max(f64::MIN_POSITIVE);
    let bottom = if low.is_some() { range.0 } else { range.0 - margin };
    let count = categories.len() as f64;
    svg(WIDE, |area| {
        let up = Axis::new(bottom..range.1 + margin, y, 6);
        let mut plot = plot(area, Axis::new(0.0..count, "", 0), up)?;
        if let Some(level) = level {
            line(&mut plot, vec![(0.0, level), (count, level)], INK, 1)?;
        }
        for (place, points) in series.iter().enumerate() {
            let shift = (place as f64 + 1.0) / (series.len() as f64 + 1.0);
            for (k, value) in points.values.iter().enumerate() {
                let &Some((value, error)) = value else { continue };
                let at = k as f64 + shift;
                let bar = vec![(at, value - BAND * error), (at, value + BAND * error)];
                line(&mut plot, bar, points.color, 2)?;
                plot.draw_series([Circle::new((at, value), 4, points.color.filled())])?;
            }
        }
        let (across, down) = plot.plotting_area().get_pixel_range();
        let step = f64::from(across.end - across.start) / count;
        for (k, name) in categories.iter().enumerate() {
            let x = across.start + (step * (k as f64 + 0.5)) as i32;
            let style = font(11).pos(Pos::new(HPos::Center, VPos::Top));
            area.draw_text(name, &style, (x, down.end + 6))?;
        }
        Ok(())
    })
}

/// A square of cells, one a pair of atoms; the darkest is the largest value.
pub(super) fn matrix(names: &[String], values: &[((usize, usize), f64)]) -> Result<String> {
    const SIDE: i32 = 440;
    const EDGE: i32 = 40;
    let cell = f64::from(SIDE - EDGE) / names.len() as f64;
    let at = |k: usize| EDGE + (k as f64 * cell).round() as i32;
    let largest = values.iter().map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max);
    let size = (cell * 0.36).clamp(5.0, 11.0) as u32;
    svg((SIDE as u32, SIDE as u32), |area| {
        let say = |text: &str, size: u32, at: (i32, i32), across: HPos| {
            area.draw_text(text, &font(size).pos(Pos::new(across, VPos::Center)), at)
        };
        let half = (cell / 2.0) as i32;
        for (k, name) in names.iter().enumerate() {
            say(name, size, (EDGE - 4, at(k) + half), HPos::Right)?;
            say(name, size, (at(k) + half, EDGE - 10), HPos::Center)?;
        }
        for &((i, j), value) in values {
            for (row, column) in [(i, j), (j, i)] {
                let corners = [(at(column), at(row)), (at(column + 1) - 1, at(row + 1) - 1)];
                let fill = SIDES[1].mix(0.05 + 0.85 * value / largest).filled();
                area.draw(&Rectangle::new(corners, fill))?;
                if names.len() <= 12 {
                    let middle = (at(column) + half, at(row) + half);
                    say(&format!("{value:.3}"), size.min(10), middle, HPos::Center)?;
                }
            }
        }
        Ok(())
    })
}

/// The training curve, on a logarithmic axis where no loss is 0 or less.
pub(super) fn losses(losses: &[(usize, f64)]) -> Result<String> {
    let logarithmic = losses.iter().all(|(_, loss)| *loss > 0.0);
    let shown = |loss: f64| if logarithmic { loss.log10() } else { loss };
    let points: Vec<(f64, f64)> = losses.iter().map(|&(step, loss)| (step as f64, shown(loss))).collect();
    let low = points.iter().map(|point| point.1).fold(f64::INFINITY, f64::min);
    let high = points.iter().map(|point| point.1).fold(f64::NEG_INFINITY, f64::max);
    let margin = 0.05 * (high - low).max(1e-6);
    let last = points.last().map_or(1.0, |point| point.0);
    let name = if logarithmic { "loss (logarithmic)" } else { "loss" };
    let power = |value: &f64| format!("{:.2e}", 10_f64.powf(*value));
    svg(WIDE, |area| {
        let across = Axis { label: &|step| format!("{step:.0}"), ..Axis::new(0.0..last.max(1.0), "step", 5) };
        let mut up = Axis::new(low - margin..high + margin, name, 6);
        if logarithmic {
            up.label = &power;
        }
        line(&mut plot(area, across, up)?, points, SIDES[0], 2)
    })
}

/// A number on an axis, without the digits that rounding leaves.
fn tick(value: f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        "0".into()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_is_well_formed_and_escapes_its_labels() {
        let curve = Curve { density: vec![0.5, 1.5, 0.0], error: vec![0.1, 0.1, 0.0] };
        let curves = Curves { start: 0.0, stop: 3.0, reference: curve.clone(), sides: vec![curve] };
        let text = densities(&curves, "r < 3 & \"more\"", "h", SMALL).unwrap();
        let parsed = roxmltree::Document::parse(&text).unwrap();
        assert!(parsed.descendants().any(|node| node.text().is_some_and(|t| t.contains("r < 3 & \"more\""))));
        let lines = parsed.descendants().filter(|node| node.attribute("stroke") == Some("#1F6FB2"));
        assert_eq!(lines.count(), 1);
    }

    #[test]
    fn ticks() {
        assert_eq!([0.5, 20.0, -0.0001, 0.0].map(tick), ["0.5", "20", "0", "0"]);
    }
}
