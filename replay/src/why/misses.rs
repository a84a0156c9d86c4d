//! How near a condition came, in words: in space, in time, in identity, and in the health of the sensors behind it.
//!
//! What a condition itself measures (`Gauge`) says the first three; the sensors are those that it reads, and those that
//! watch the zones that it speaks of: a person who was not seen leaving may have left where nothing looked.

use super::nearest::{Near, Shortfall};
use crate::words;
use osmose_model::device::SensorKind;
use osmose_model::ids::{PersonId, SensorId, TrackId, ZoneId};
use osmose_model::input::Tag;
use osmose_model::site::Site;
use osmose_model::time::{DurationNs, LogicalNs};
use osmose_model::tri::Tri;
use osmose_model::world::{EventKind, Presence, WorldEvent, WorldView};
use osmose_rules::eval::explain::{Gauge, Part, Whom};

/// Most sensors told of one condition.
const SENSORS_MAX: usize = 6;

/// How a sensor was at an instant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sensed {
    sensor: SensorId,
    alive: Tri,
    heard_at: Option<LogicalNs>,
    silent: Option<DurationNs>,
}

impl Sensed {
    pub(super) fn of(view: &dyn WorldView, sensor: SensorId) -> Self {
        let heard_at = view.sensor(sensor).heard_at;
        let silent = heard_at.map(|at| view.now().since(at));
        Self { sensor, alive: view.alive(sensor), heard_at, silent }
    }

    pub(super) fn says(&self, site: &Site) -> String {
        let name = words::sensor(site, self.sensor);
        let alive = match self.alive {
            Tri::True => "alive",
            Tri::False => "DEAD",
            Tri::Unknown => "not known to be alive",
        };
        let heard = match (self.heard_at, self.silent) {
            (Some(at), Some(silent)) if silent.0 > 0 => {
                format!("last heard at {}, {} before", words::seconds(at), words::span(silent))
            }
            (Some(_), _) => "heard then".to_owned(),
            _ => "never heard".to_owned(),
        };
        let rate = site.sensors.get(self.sensor.index()).and_then(|s| s.rate_hz);
        let rate = rate.filter(|hz| *hz > 0.0 && self.alive != Tri::True);
        let promised = rate.map_or_else(String::new, |hz| format!(" (it is to speak every {:.3} s)", 1.0 / hz));
        format!("{name}: {alive}, {heard}{promised}")
    }
}

/// Whether a sensor tells where people are, so that its silence hides somebody.
const fn places(kind: SensorKind) -> bool {
    use SensorKind as K;
    matches!(kind, K::Location | K::Position | K::Points | K::Range | K::Tdoa | K::Rssi | K::Bearing)
}

/// The sensors that watch a zone: those that name it, and those that look at the whole of its level.
fn watching(site: &Site, zone: ZoneId) -> impl Iterator<Item = SensorId> {
    let level = site.zones.get(zone.index()).map(|z| z.level);
    let watches = move |s: &&osmose_model::device::Sensor| {
        s.zones.contains(&zone)
            || s.zones.is_empty() && s.field_of_view.is_none() && places(s.kind) && Some(s.level) == level
    };
    site.sensors.iter().filter(watches).map(|s| s.id)
}

/// The sensors that a condition hangs on, ascending.
pub(super) fn sensors_of(site: &Site, part: &Part) -> impl Iterator<Item = SensorId> {
    let mut all: Vec<SensorId> = Vec::new();
    for gauge in &part.gauges {
        match gauge {
            Gauge::Sensor { sensor, .. } => all.push(*sensor),
            Gauge::Event { zone, .. }
            | Gauge::InZone { zone, .. }
            | Gauge::Occupied(zone, _)
            | Gauge::Somebody { zone, .. } => all.extend(watching(site, *zone)),
            _ => {}
        }
    }
    all.sort_unstable();
    all.dedup();
    all.truncate(SENSORS_MAX);
    all.into_iter()
}

/// Most people told of one condition.
const PEOPLE_MAX: usize = 8;

/// Where somebody was whom a condition names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Somebody {
    person: PersonId,
    zone: ZoneId,
    /// Track, probability, depth in the zone in metres (positive inside; `None` on another level), and whether seen.
    on: Option<(TrackId, f64, Option<f64>, bool)>,
}

impl Somebody {
    fn says(&self, site: &Site) -> Shortfall {
        let (who, zone) = (words::person(site, self.person), words::zone(site, self.zone));
        let Some((track, p, depth_m, seen)) = self.on else {
            let text = format!("nobody is taken for {who}: no track, or it is not known whose");
            return Shortfall { aspect: "identity", short: None, unit: "", text };
        };
        let lost = if seen { "" } else { ", lost" };
        let (short, place) = match depth_m {
            Some(d) if d >= 0.0 => (Some(0.0), format!("{d:.2} m inside {zone}")),
            Some(d) => (Some(-d), format!("{:.2} m outside {zone}", -d)),
            None => (None, format!("not on the level of {zone}")),
        };
        let text = format!("{who} was {place} (track {track}, p {p:.3}{lost})");
        Shortfall { aspect: "space", short, unit: "m", text }
    }
}

/// Where those were whom a condition wants in a zone.
pub(super) fn people_of(view: &dyn WorldView, part: &Part) -> Vec<Somebody> {
    let site = view.site();
    let mut all = Vec::new();
    for gauge in &part.gauges {
        let Gauge::Somebody { whom, zone, .. } = gauge else { continue };
        let wanted = |p: PersonId| match whom {
            Whom::Person(person) => *person == p,
            Whom::Members(group) => view.is_member(p, *group),
            Whom::Anyone | Whom::Participants(_) | Whom::InZone(_) => false,
        };
        for person in site.people.iter().map(|p| p.id).filter(|p| wanted(*p)) {
            let on = view.track_of(person).and_then(|(track, p)| {
                let o = view.occupant(track)?;
                let z = site.zones.get(zone.index()).filter(|z| z.level == o.place.level);
                Some((track, p, z.map(|z| z.area.depth(o.place.at)), o.presence == Presence::Seen))
            });
            all.push(Somebody { person, zone: *zone, on });
        }
    }
    all.truncate(PEOPLE_MAX);
    all
}

/// Everything about one condition at its nearest. `events` are those of the stretch, `asked` the instant asked about.
pub(super) fn of(
    site: &Site,
    events: &[(Tag, WorldEvent)],
    asked: LogicalNs,
    near: &Near,
    track: Option<TrackId>,
) -> Vec<Shortfall> {
    let words = Words { site, asked, events, near, track };
    let mut all: Vec<Shortfall> = near.part.gauges.iter().flat_map(|g| words.gauge(g)).collect();
    // An event is not held: when it came is told with it.
    if !near.part.gauges.iter().any(|g| matches!(g, Gauge::Event { .. })) {
        all.push(words.held(asked));
    }
    all.extend(near.people.iter().map(|p| p.says(site)));
    all.extend(near.sensed.iter().map(|s| said("sensors", s.says(site))));
    all
}

fn said(aspect: &'static str, text: String) -> Shortfall {
    Shortfall { aspect, short: None, unit: "", text }
}

/// An instant, and how far it is from the one asked about.
fn beside(at: LogicalNs, asked: LogicalNs) -> String {
    let off = at.since(asked);
    let side = if off.0 < 0 { "before" } else { "after" };
    format!("{}, {} {side} the time asked about", words::seconds(at), words::span(DurationNs(off.0.saturating_abs())))
}

struct Words<'a> {
    site: &'a Site,
    asked: LogicalNs,
    events: &'a [(Tag, WorldEvent)],
    near: &'a Near,
    track: Option<TrackId>,
}

impl Words<'_> {
    /// When it held, as seen from the instant asked about.
    fn held(&self, asked: LogicalNs) -> Shortfall {
        let text = match self.near.held_at {
            None => "it held at no moment looked at".to_owned(),
            Some(at) => format!("it held at {}", beside(at, asked)),
        };
        let short = self.near.held_at.map(|at| DurationNs(at.since(asked).0.saturating_abs()).as_s_f64());
        Shortfall { aspect: "time", short, unit: "s", text }
    }

    /// What one part of a condition measured.
    fn gauge(&self, g: &Gauge) -> Vec<Shortfall> {
        let (site, near) = (self.site, self.near);
        let depth = |zone: ZoneId| near.depths.iter().find(|(z, _)| *z == zone).map(|(_, d)| *d);
        let one = match g {
            Gauge::Event { kind, whom, zone } => {
                let of = if *whom == Whom::Anyone { String::new() } else { format!(", of {}", self.whom(*whom)) };
                let time = format!("{}{of}", self.nearest_event(*kind, *zone));
                return vec![self.place(*zone, depth(*zone), *kind), said("time", time)];
            }
            Gauge::InZone { zone, inside } => {
                let mut place = self.place(*zone, depth(*zone), EventKind::Enters);
                place.text += &format!("; counted as inside: {}", inside.as_str());
                place
            }
            Gauge::Identity { whom, person, p, needed } => {
                let wanted = whom.map_or_else(|| "anybody known".to_owned(), |w| self.whom(w));
                let who = person.map_or_else(|| "nobody known".to_owned(), |x| words::person(site, x).to_owned());
                let short = (needed - p).max(0.0);
                let by = if short > 0.0 { format!(", {short:.3} short") } else { String::new() };
                let text = format!("{who} with probability {p:.3} of {needed:.3} needed{by}; wanted is {wanted}");
                Shortfall { aspect: "identity", short: Some(short), unit: "", text }
            }
            Gauge::Dwell { reached_s, needed_s } => {
                let short = (needed_s - reached_s).max(0.0);
                let by = if short > 0.0 { format!(", {short:.3} s short") } else { String::new() };
                let text = format!("it had lasted {reached_s:.3} of {needed_s:.3} s{by}");
                Shortfall { aspect: "time", short: Some(short), unit: "s", text }
            }
            Gauge::Number { left, how, right } => {
                let range = |r: &(f64, f64)| match r {
                    (a, b) if a == b => format!("{a}"),
                    (a, b) if a.is_infinite() && b.is_infinite() => "unknown".to_owned(),
                    (a, b) => format!("{a} to {b}"),
                };
                said("number", format!("{} {how} {} is what was asked", range(left), range(right)))
            }
            Gauge::Occupied(zone, truth) => {
                let none = watching(site, *zone).next().is_none();
                let none = if none { "; no sensor watches it" } else { "" };
                said("presence", format!("somebody in {}: {}{none}", words::zone(site, *zone), truth.as_str()))
            }
            Gauge::Somebody { whom, zone, all } => {
                let who = if *all { "all of" } else { "any of" };
                said("presence", format!("wanted are {who} {} in {}", self.whom(*whom), words::zone(site, *zone)))
            }
            Gauge::Device { device, property, found, wanted } => {
                let found = found.map_or_else(|| "unknown".to_owned(), |v| words::value(site, &v));
                let wanted = wanted.map_or_else(|| "unknown".to_owned(), |v| words::value(site, &v));
                said("device", format!("{}.{property} is {found}, wanted {wanted}", words::device(site, *device)))
            }
            // Its health is told with that of the others.
            Gauge::Sensor { .. } => return Vec::new(),
            Gauge::TimeOfDay { now, from, to } => {
                let clock = |d: &DurationNs| {
                    let s = d.0 / 1_000_000_000;
                    format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
                };
                let now = now.map_or_else(|| "not known, without a wall clock".to_owned(), |n| clock(&n));
                said("time", format!("the time of day was {now}, wanted {} to {}", clock(from), clock(to)))
            }
            Gauge::Mode { .. } => said("mode", "another one was set".to_owned()),
            Gauge::Operator => said("operator", "nobody reset it by hand".to_owned()),
        };
        vec![one]
    }

    fn whom(&self, w: Whom) -> String {
        match w {
            Whom::Anyone => "anybody".to_owned(),
            Whom::Person(p) => words::person(self.site, p).to_owned(),
            Whom::Members(g) => {
                let name = self.site.groups.get(g.index()).map_or("?", |g| g.name.as_str());
                format!("the members of {name}")
            }
            Whom::Participants(z) => format!("the participants of {}", words::zone(self.site, z)),
            Whom::InZone(z) => format!("those in {}", words::zone(self.site, z)),
        }
    }

    /// Where the person was against what the zone's margins ask for.
    fn place(&self, zone: ZoneId, depth_m: Option<f64>, kind: EventKind) -> Shortfall {
        let name = words::zone(self.site, zone);
        let Some(depth_m) = depth_m else { return said("space", format!("nobody to place at {name}")) };
        let Some(z) = self.site.zones.get(zone.index()) else { return said("space", format!("no zone {name}")) };
        let side = if depth_m >= 0.0 { "inside" } else { "outside" };
        let leaving = matches!(kind, EventKind::Leaves | EventKind::Lost);
        let (margin, verb) =
            if leaving { (z.margins.exit_margin_m, "leaving") } else { (z.margins.enter_margin_m, "entering") };
        let short = if leaving { depth_m + margin } else { margin - depth_m }.max(0.0);
        let say =
            if short > 0.0 { format!("{short:.2} m short of {verb} it") } else { format!("far enough for {verb} it") };
        let text = format!("{:.2} m {side} {name} (margin {margin:.2} m): {say}", depth_m.abs());
        Shortfall { aspect: "space", short: Some(short), unit: "m", text }
    }

    /// The event of this kind at this zone that came nearest in time.
    fn nearest_event(&self, kind: EventKind, zone: ZoneId) -> String {
        let here = self.events.iter().filter(|(_, e)| e.kind == kind && e.zone == Some(zone));
        let own = here.clone().filter(|(_, e)| Some(e.track) == self.track);
        let by_time = |e: &&(Tag, WorldEvent)| e.0.at.since(self.near.at).0.saturating_abs();
        match own.min_by_key(by_time).or_else(|| here.min_by_key(by_time)) {
            Some((tag, e)) => format!("{} at {}", words::event(self.site, e), beside(tag.at, self.asked)),
            None => format!("nobody {} {} in the stretch", kind.as_str(), words::zone(self.site, zone)),
        }
    }
}
