//! How the sensors did, for the summary: one line each, those that somebody should look at first.

use osmose_model::device::SensorKind;
use osmose_model::geometry::DEG_PER_RAD;
use osmose_model::health::SensorHealth;
use osmose_model::world::WorldView;

/// Most sensors told of one by one.
const LINES_MAX: usize = 32;

/// What a kind's bias is told in: factor and unit.
const fn unit(kind: SensorKind) -> Option<(f64, &'static str)> {
    match kind {
        SensorKind::Range => Some((1.0, "m")),
        SensorKind::Rssi => Some((1.0, "dB")),
        SensorKind::Bearing => Some((DEG_PER_RAD, "deg")),
        _ => None,
    }
}

fn line(name: &str, kind: SensorKind, h: &SensorHealth) -> String {
    let mut line = format!(
        "sensor {name}: {}, {} compared at {:.1} Hz, NIS {:.2}, {:.0} % outliers, sigma x {:.2}",
        h.verdict,
        h.compared,
        h.rate_hz,
        h.nis,
        100.0 * h.outliers,
        h.sigma_factor
    );
    if let Some((factor, unit)) = unit(kind) {
        line += &format!(", bias {:.2} +- {:.2} {unit}", factor * h.bias, factor * h.bias_sigma);
    }
    if matches!(kind, SensorKind::Range | SensorKind::Tdoa | SensorKind::Bearing) {
        line += &format!(", clock {:.3} +- {:.3} s", h.clock_s, h.clock_sigma_s);
    }
    line
}

/// A line for each sensor whose measurements were compared with an estimate: troubled ones first, in the site's order.
pub(super) fn lines(view: &dyn WorldView) -> Vec<String> {
    let all = view.site().sensors.iter().map(|s| (s, view.sensor(s.id).health));
    let (trouble, fine): (Vec<_>, Vec<_>) =
        all.filter(|(_, h)| h.compared > 0).partition(|(_, h)| h.verdict.is_trouble());
    let more = (trouble.len() + fine.len()).saturating_sub(LINES_MAX);
    let told = trouble.iter().chain(&fine).take(LINES_MAX);
    let mut lines: Vec<String> = told.map(|(s, h)| line(&s.name, s.kind, h)).collect();
    if more > 0 {
        lines.push(format!("and {more} more sensors"));
    }
    lines
}
