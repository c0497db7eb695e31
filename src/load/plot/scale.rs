//! Axes that a person would have chosen.

/// The smallest of 1, 2 or 5 times a power of ten that is at least `least`; 1e-3 for nothing.
pub(super) fn nice_step(least: f64) -> f64 {
    if !(least.is_finite() && least > 1e-3) {
        return 1e-3;
    }
    let power = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0].map(|digit| digit * power).into_iter().find(|step| *step >= least).unwrap_or(10.0 * power)
}

/// From values to pixels along one axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    /// Value at the far end; the near one is 0.
    pub(super) end: f64,
    /// Distance of the ticks.
    pub(super) step: f64,
}

impl Scale {
    /// Holds 0 and every one of `values`, with about six ticks.
    pub(super) fn over(values: impl Iterator<Item = f64>) -> Self {
        let most = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
        let step = nice_step(most / 6.0);
        Self { end: step * (most / step).ceil().max(1.0), step }
    }

    /// Part of the axis at which `value` lies, 0..=1; what lies beyond is at its ends.
    pub(super) fn part(self, value: f64) -> f64 {
        (value / self.end).clamp(0.0, 1.0)
    }

    /// Values with a tick and their labels.
    pub(super) fn ticks(self) -> impl Iterator<Item = (f64, String)> {
        let count = (self.end / self.step).round() as usize;
        let digits = usize::try_from((-self.step.log10().floor()).max(0.0) as i64).unwrap_or(0);
        (0..=count).map(move |tick| {
            let value = tick as f64 * self.step;
            (value, format!("{value:.digits$}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_and_ticks_reach_the_end() {
        for (least, step) in
            [(0.7, 1.0), (1.0, 1.0), (1.1, 2.0), (3.0, 5.0), (6.0, 10.0), (0.03, 0.05), (700.0, 1000.0)]
        {
            assert!((nice_step(least) / step - 1.0).abs() < 1e-9, "{least}");
        }
        let scale = Scale::over([12.0, 150.0, f64::NAN].into_iter());
        assert_eq!(scale, Scale { end: 150.0, step: 50.0 });
        let labels: Vec<String> = scale.ticks().map(|(_, label)| label).collect();
        assert_eq!(labels, ["0", "50", "100", "150"]);
        let none = Scale::over(std::iter::empty());
        assert!(none.end > 0.0, "an empty axis is no division by zero");
    }
}
