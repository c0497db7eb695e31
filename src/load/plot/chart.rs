//! One chart: a title, two axes from 0, and what is drawn between them.

use super::canvas::{BLACK, Canvas, Colour, GREY, LETTER_PX};
use super::scale::Scale;

/// Where a chart goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Area {
    pub(super) left: usize,
    pub(super) top: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

#[derive(Debug, Clone, Copy)]
enum Shape {
    Bars,
    Line,
    Dots,
}

struct Series {
    shape: Shape,
    points: Vec<(f64, f64)>,
    colour: Colour,
}

/// A line across the chart with a word beside it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    upright: bool,
    at: f64,
    word: &'static str,
    colour: Colour,
}

impl Mark {
    /// At a value of the horizontal axis.
    pub(super) fn vertical(at: f64, word: &'static str, colour: Colour) -> Self {
        Self { upright: true, at, word, colour }
    }

    /// At a value of the vertical axis.
    pub(super) fn horizontal(at: f64, word: &'static str, colour: Colour) -> Self {
        Self { upright: false, at, word, colour }
    }
}

/// A chart to be drawn.
pub(super) struct Chart {
    title: &'static str,
    across: &'static str,
    up: &'static str,
    series: Vec<Series>,
    marks: Vec<Mark>,
}

impl Chart {
    pub(super) fn new(title: &'static str, across: &'static str, up: &'static str) -> Self {
        Self { title, across, up, series: Vec::new(), marks: Vec::new() }
    }

    /// Bars that begin at their point and reach to the next.
    pub(super) fn bars(self, points: Vec<(f64, f64)>, colour: Colour) -> Self {
        self.with(Shape::Bars, points, colour)
    }

    pub(super) fn line(self, points: Vec<(f64, f64)>, colour: Colour) -> Self {
        self.with(Shape::Line, points, colour)
    }

    pub(super) fn dots(self, points: Vec<(f64, f64)>, colour: Colour) -> Self {
        self.with(Shape::Dots, points, colour)
    }

    pub(super) fn mark(mut self, mark: Mark) -> Self {
        self.marks.push(mark);
        self
    }

    fn with(mut self, shape: Shape, points: Vec<(f64, f64)>, colour: Colour) -> Self {
        self.series.push(Series { shape, points, colour });
        self
    }

    pub(super) fn draw(&self, canvas: &mut Canvas, area: Area) {
        let points = || self.series.iter().flat_map(|series| series.points.iter());
        let marked = |upright: bool| self.marks.iter().filter(move |mark| mark.upright == upright).map(|mark| mark.at);
        let frame = Frame {
            left: area.left + 80,
            top: area.top + 40,
            width: area.width - 110,
            height: area.height - 90,
            x: Scale::over(points().map(|point| point.0).chain(marked(true))),
            y: Scale::over(points().map(|point| point.1).chain(marked(false))),
        };
        canvas.text((area.left + 80, area.top + 12), self.title, BLACK);
        canvas.text((area.left + 12, area.top + 26), self.up, BLACK);
        let right = frame.left + frame.width;
        canvas.text((right - self.across.len() * LETTER_PX, frame.top + frame.height + 28), self.across, BLACK);
        frame.draw_axes(canvas);
        for series in &self.series {
            frame.draw_series(canvas, series);
        }
        for mark in &self.marks {
            frame.draw_mark(canvas, *mark);
        }
    }
}

/// The space between the axes, and what its edges mean.
struct Frame {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
    x: Scale,
    y: Scale,
}

impl Frame {
    fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let across = self.left as f64 + self.x.part(x) * self.width as f64;
        (across, self.top as f64 + (1.0 - self.y.part(y)) * self.height as f64)
    }

    fn draw_axes(&self, canvas: &mut Canvas) {
        for (value, label) in self.x.ticks() {
            let x = self.at((value, 0.0)).0 as usize;
            canvas.fill((x, self.top), (1, self.height), GREY);
            canvas.text((x.saturating_sub(label.len() * LETTER_PX / 2), self.top + self.height + 10), &label, BLACK);
        }
        for (value, label) in self.y.ticks() {
            let y = self.at((0.0, value)).1 as usize;
            canvas.fill((self.left, y), (self.width, 1), GREY);
            canvas.text((self.left - 8 - label.len() * LETTER_PX, y - LETTER_PX / 2), &label, BLACK);
        }
        canvas.fill((self.left, self.top), (1, self.height), BLACK);
        canvas.fill((self.left, self.top + self.height), (self.width, 1), BLACK);
    }

    fn draw_series(&self, canvas: &mut Canvas, series: &Series) {
        let bottom = (self.top + self.height) as f64;
        let step = series.points.get(1).map_or(self.x.end, |second| second.0 - series.points[0].0);
        for (number, &point) in series.points.iter().enumerate() {
            let (x, y) = self.at(point);
            match series.shape {
                Shape::Bars => {
                    let width = (self.at((point.0 + step, 0.0)).0 - x).max(2.0) as usize - 1;
                    canvas.fill((x as usize, y as usize), (width, (bottom - y) as usize), series.colour);
                }
                Shape::Line => {
                    if let Some(&next) = series.points.get(number + 1) {
                        canvas.line((x, y), self.at(next), series.colour);
                    }
                }
                Shape::Dots => {
                    canvas.fill(
                        ((x as usize).saturating_sub(3), (y as usize).saturating_sub(3)),
                        (7, 7),
                        series.colour,
                    );
                }
            }
        }
    }

    fn draw_mark(&self, canvas: &mut Canvas, mark: Mark) {
        if mark.upright {
            let x = self.at((mark.at, 0.0)).0 as usize;
            canvas.fill((x, self.top), (2, self.height), mark.colour);
            canvas.text((x + 6, self.top + 4), mark.word, mark.colour);
        } else {
            let y = self.at((0.0, mark.at)).1 as usize;
            canvas.fill((self.left, y), (self.width, 2), mark.colour);
            let right = self.left + self.width;
            canvas.text((right - (mark.word.len() + 1) * LETTER_PX, y.saturating_sub(12)), mark.word, mark.colour);
        }
    }
}
