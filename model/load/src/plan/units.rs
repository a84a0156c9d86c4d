//! Degrees where metres belong, metres where degrees belong, and where on earth the site's origin is.

use super::collection::{Corner, RawFeature};
use super::frame::Projection;
use super::kinds::Role;
use super::read::RawPlan;
use crate::fault::{Faults, Spot};
use crate::settings::Settings;
use crate::text::shown;
use osmose_model::geometry::Point;

/// A plan in degrees that spans more than this is no building (about 50 km).
const SPAN_MAX_DEG: f64 = 0.5;
/// A plan in metres that spans less than this is no building.
const SPAN_MIN_M: f64 = 0.1;
/// A plan farther from the declared origin than this is somewhere else.
const FAR_M: f64 = 50_000.0;

/// How degrees become metres in this site; `None` inside where no part of the plan is in degrees.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placing {
    pub(crate) origin_deg: Option<(f64, f64)>,
    projection: Option<Projection>,
}

impl Placing {
    /// A corner of a feature in site metres.
    pub(crate) fn place(&self, corner: Corner, is_local: bool) -> Point {
        match self.projection {
            Some(projection) if !is_local => projection.to_site(corner),
            _ => Point::new(corner[0], corner[1]),
        }
    }
    /// Whether any of the plan is in degrees.
    pub(crate) fn is_geographic(&self) -> bool {
        self.projection.is_some()
    }
}

/// Lowest and highest of each coordinate.
#[derive(Clone, Copy, Debug)]
struct Span {
    low: Corner,
    high: Corner,
}

impl Span {
    fn of(corners: impl Iterator<Item = Corner>) -> Option<Self> {
        corners.fold(None, |span: Option<Self>, c| {
            let s = span.unwrap_or(Self { low: c, high: c });
            Some(Self {
                low: [s.low[0].min(c[0]), s.low[1].min(c[1])],
                high: [s.high[0].max(c[0]), s.high[1].max(c[1])],
            })
        })
    }
    fn size(&self) -> f64 {
        (self.high[0] - self.low[0]).max(self.high[1] - self.low[1])
    }
    fn middle(&self) -> Corner {
        [self.low[0] / 2.0 + self.high[0] / 2.0, self.low[1] / 2.0 + self.high[1] / 2.0]
    }
}

fn is_on_earth([lon, lat]: Corner) -> bool {
    lon.abs() <= 180.0 && lat.abs() <= 90.0
}

/// Checks the units of every file, and finds the origin: the site's own, else the plan's, else the plan's middle.
///
/// `None` (and a fault) where the coordinates cannot be what their file says they are.
pub(crate) fn origin(raw: &RawPlan, settings: &Settings, faults: &mut Faults) -> Option<Placing> {
    let mut files: Vec<&str> = raw.features.iter().map(|(_, f)| f.spot.file.as_str()).collect();
    files.sort_unstable();
    files.dedup();
    let mut fine = true;
    for file in files {
        let features: Vec<&RawFeature> = raw.features.iter().map(|(_, f)| f).filter(|f| f.spot.file == file).collect();
        fine &= check_units(&features, faults);
    }
    if !fine {
        return None;
    }
    let degrees = || raw.features.iter().filter(|(_, f)| !f.is_local);
    let span = Span::of(degrees().flat_map(|(_, f)| f.shape.corners()));
    let Some(span) = span else {
        return Some(Placing { origin_deg: settings.frame.origin_deg, projection: None });
    };
    let swap = |[lon, lat]: Corner| (lat, lon);
    let venue = degrees().find(|(role, _)| *role == Role::Venue).map(|(_, f)| f);
    let venue = venue.and_then(|v| display_point(v).or_else(|| Span::of(v.shape.corners()).map(|s| s.middle())));
    let middle = swap(span_of_building(raw).unwrap_or(span).middle());
    // What an archive says of its place is often left over from the tool that made it: it holds only near the plan.
    let is_near =
        |at: &(f64, f64)| Projection::new(*at, 0.0).to_site([middle.1, middle.0]).distance(Point::default()) <= FAR_M;
    let said = raw.located_deg.or(venue.map(swap));
    if let Some((lat, lon)) = said.filter(|at| settings.frame.origin_deg.is_none() && !is_near(at)) {
        let spot = raw.features.first().map_or_else(|| Spot::file("floorplan"), |(_, f)| Spot::file(&f.spot.file));
        let message = format!(
            "The plan says that it is at latitude {lat}, longitude {lon}, but it is drawn elsewhere: its middle is the origin."
        );
        faults.warning(
            "far-from-origin",
            &spot,
            "",
            message,
            "Give `[frame] origin` in site.toml, so that devices can be placed.",
        );
    }
    let origin_deg = settings.frame.origin_deg.or(said.filter(is_near)).unwrap_or(middle);
    let projection = Projection::new(origin_deg, settings.frame.rotation_rad);
    if let Some((_, far)) = degrees().find(|(role, f)| {
        *role != Role::Venue && f.shape.corners().any(|c| projection.to_site(c).distance(Point::default()) > FAR_M)
    }) {
        let corner = far.shape.corners().next().unwrap_or_default();
        let message = format!(
            "The plan is {:.0} km away from the origin ({}, {}): this feature is at longitude {}, latitude {}.",
            projection.to_site(corner).distance(Point::default()) / 1e3,
            origin_deg.0,
            origin_deg.1,
            corner[0],
            corner[1]
        );
        let help = "Correct `origin` in site.toml, or swap the numbers where the plan has latitude first: GeoJSON has longitude first.";
        faults.error("far-from-origin", &far.spot, far.id.as_deref().unwrap_or_default(), message, help);
        return None;
    }
    Some(Placing { origin_deg: Some(origin_deg), projection: Some(projection) })
}

/// The reach of all but the venue, whose grounds may lie to one side.
fn span_of_building(raw: &RawPlan) -> Option<Span> {
    let parts = raw.features.iter().filter(|(role, f)| !f.is_local && *role != Role::Venue);
    Span::of(parts.flat_map(|(_, f)| f.shape.corners()))
}

/// IMDF's `display_point` of a venue.
fn display_point(venue: &RawFeature) -> Option<Corner> {
    let numbers = venue.properties.get("display_point")?.get("coordinates")?.as_array()?;
    let corner = [numbers.first()?.as_f64()?, numbers.get(1)?.as_f64()?];
    is_on_earth(corner).then_some(corner)
}

/// Whether the coordinates of one file's features can be what the file says they are.
fn check_units(features: &[&RawFeature], faults: &mut Faults) -> bool {
    let Some(first) = features.iter().find(|f| !f.shape.is_empty()) else { return true };
    let Some(span) = Span::of(features.iter().flat_map(|f| f.shape.corners())) else { return true };
    let name = |f: &RawFeature| f.id.clone().unwrap_or_default();
    if first.is_local {
        let far = features.iter().find(|f| f.shape.corners().any(|c| !Point::new(c[0], c[1]).is_plausible()));
        if let Some(far) = far {
            let message = "This feature is more than 1000 km from the origin.";
            faults.error(
                "far-from-origin",
                &far.spot,
                &name(far),
                message,
                "Give coordinates in metres from the site's own origin.",
            );
            return false;
        }
        let has_area = features.iter().any(|f| !f.shape.areas.is_empty());
        if span.size() < SPAN_MIN_M && has_area && is_on_earth(span.high) && is_on_earth(span.low) {
            let [x, y] = span.middle();
            let message = format!(
                "The whole plan is {:.4} m wide about ({x}, {y}), though it says `\"frame\": \"local\"`: these are degrees where metres belong.",
                span.size()
            );
            faults.error(
                "degrees-as-metres",
                &first.spot,
                &name(first),
                message,
                "Take `\"frame\": \"local\"` out: WGS-84 degrees are converted at load.",
            );
            return false;
        }
        return true;
    }
    let off = features.iter().find_map(|f| f.shape.corners().find(|&c| !is_on_earth(c)).map(|c| (f, c)));
    let local = "Add `\"frame\": \"local\"` to the collection where its coordinates are metres.";
    if let Some((feature, [x, y])) = off {
        let message = format!(
            "The corner ({x}, {y}) of feature `{}` is no place on earth in degrees: these are metres where degrees belong.",
            shown(&name(feature))
        );
        faults.error("metres-as-degrees", &feature.spot, &name(feature), message, local);
        return false;
    }
    if span.size() > SPAN_MAX_DEG {
        let message = format!(
            "The plan reaches from ({}, {}) to ({}, {}), which in degrees is {:.0} km: these are metres where degrees belong.",
            span.low[0],
            span.low[1],
            span.high[0],
            span.high[1],
            span.size() * 111.2
        );
        faults.error("metres-as-degrees", &first.spot, &name(first), message, local);
        return false;
    }
    true
}
