//! A snapshot: who is where, what sensors just saw, what rooms and devices are like. Thirty times a second, so it is
//! written without an intermediate tree.

use crate::note::Sight;
use crate::tell::Names;
use osmose_drivers::json;
use osmose_model::ids::{ActuatorId, SensorId, ZoneId};
use osmose_model::time::{LogicalNs, UtcNs};
use osmose_model::tri::Tri;
use osmose_model::world::Presence;
use osmose_replay::wall::format_rfc3339;
use osmose_runtime::publish::{Picture, PropertyNow, Somebody, ZoneNow};
use std::collections::BTreeMap;

/// A track is shown from this probability of being somebody on.
const EXISTENCE_MIN: f64 = 0.5;
/// An identity weaker than this is not shown as one.
const PERSON_P_MIN: f64 = 0.5;

/// Writes snapshots, each against the one before.
#[derive(Debug, Default)]
pub struct Snaps {
    out: Vec<u8>,
    zones: Vec<ZoneNow>,
    devices: Vec<Vec<PropertyNow>>,
}

/// The instant of a picture in the log's time: the clock goes on between inputs.
#[must_use]
pub fn instant(p: &Picture) -> LogicalNs {
    LogicalNs(p.at.0.max(p.tag.at.0))
}

/// Whether somebody is shown.
#[must_use]
pub fn is_shown(who: &Somebody) -> bool {
    who.existence >= EXISTENCE_MIN
}

/// The axes of a covariance: standard deviations along the longer and the shorter one, metres, and the angle of the
/// longer, radians. Eigenvalues of a symmetric 2x2 matrix.
#[must_use]
pub fn axes([xx, xy, yy]: [f64; 3]) -> (f64, f64, f64) {
    let (mean, half) = ((xx + yy) / 2.0, (xx - yy) / 2.0);
    let spread = half.hypot(xy);
    let angle = xy.atan2(half) / 2.0;
    ((mean + spread).max(0.0).sqrt(), (mean - spread).max(0.0).sqrt(), angle)
}

fn num(x: f64, digits: f64, out: &mut Vec<u8>) {
    json::float((x * digits).round() / digits, out);
}

fn comma(first: &mut bool, out: &mut Vec<u8>) {
    if !std::mem::take(first) {
        out.push(b',');
    }
}

impl Snaps {
    /// The next snapshot; `whole` tells of every zone and device, not only of those that changed.
    pub fn write(&mut self, names: Names<'_>, p: &Picture, seen: &BTreeMap<SensorId, Sight>, whole: bool) -> String {
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        let now = instant(p);
        out.extend_from_slice(b"{\"type\":\"snap\",\"t_s\":");
        num(now.0 as f64 / 1e9, 1e3, &mut out);
        out.extend_from_slice(b",\"utc\":");
        match p.wall {
            Some(wall) => {
                // Between inputs the wall clock goes on as the log's does.
                let utc = UtcNs(wall.utc.0.saturating_add(now.since(p.tag.at).0));
                json::string(&format_rfc3339(utc), &mut out);
                out.extend_from_slice(b",\"utc_offset_s\":");
                json::float(wall.offset.0 as f64 / 1e9, &mut out);
            }
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"seq\":");
        json::integer(p.tag.seq.0, &mut out);
        out.extend_from_slice(b",\"tracks\":[");
        let mut first = true;
        for who in p.people.iter().filter(|w| is_shown(w)) {
            comma(&mut first, &mut out);
            track(names, who, now, &mut out);
        }
        out.extend_from_slice(b"],\"seen\":[");
        let mut first = true;
        for sight in seen.values() {
            comma(&mut first, &mut out);
            sighted(names, sight, &mut out);
        }
        out.extend_from_slice(b"],");
        self.changed(names, p, whole, &mut out);
        out.push(b'}');
        let text = String::from_utf8_lossy(&out).into_owned();
        self.out = out;
        text
    }

    fn changed(&mut self, names: Names<'_>, p: &Picture, whole: bool, out: &mut Vec<u8>) {
        self.zones.resize(p.zones.len(), ZoneNow::default());
        self.devices.resize(p.devices.len(), Vec::new());
        out.extend_from_slice(b"\"zones\":{");
        let mut first = true;
        for (i, (now, before)) in p.zones.iter().zip(&mut self.zones).enumerate() {
            if whole || now != before {
                comma(&mut first, out);
                *before = *now;
                json::string(names.zone(ZoneId(i as u16)), out);
                out.extend_from_slice(b":[");
                json::integer(u64::from(now.count.seen + now.count.lost), out);
                let known = match now.occupied {
                    Tri::Unknown => "unknown",
                    Tri::True if now.count.seen + now.count.lost == 0 => "motion",
                    _ if now.count.lost > 0 && now.count.seen == 0 => "unknown",
                    _ => "known",
                };
                out.push(b',');
                json::string(known, out);
                out.push(b',');
                json::integer(u64::from(now.unidentified), out);
                out.push(b']');
            }
        }
        out.extend_from_slice(b"},\"devices\":{");
        let mut first = true;
        let mut beams = Vec::new();
        for (i, (now, before)) in p.devices.iter().zip(&mut self.devices).enumerate() {
            let id = ActuatorId(i as u16);
            if whole || now.as_slice() != before.as_slice() {
                comma(&mut first, out);
                before.clear();
                before.extend_from_slice(now);
                json::string(names.device(id), out);
                out.push(b':');
                device(names, now, out);
                let cell = now.iter().find(|q| q.property == "cell").and_then(|q| q.value);
                if now.iter().any(|q| q.property == "cell") {
                    beams.push((id, cell));
                }
            }
        }
        out.extend_from_slice(b"},\"beams\":{");
        let mut first = true;
        for (id, cell) in beams {
            comma(&mut first, out);
            json::string(names.device(id), out);
            out.push(b':');
            json::string_or_null(cell.map(|v| names.value(&v)).as_deref(), out);
        }
        out.push(b'}');
    }
}

fn track(names: Names<'_>, who: &Somebody, now: LogicalNs, out: &mut Vec<u8>) {
    out.push(b'[');
    json::integer(who.track.0, out);
    out.push(b',');
    json::string(names.site.levels.get(who.place.level.index()).map_or("?", |l| &l.name), out);
    for x in [who.place.at.x_m, who.place.at.y_m, who.velocity_mps[0], who.velocity_mps[1]] {
        out.push(b',');
        num(x, 1e3, out);
    }
    out.push(b',');
    match who.heading_rad {
        Some(h) => num(h, 1e3, out),
        None => json::null(out),
    }
    let (major, minor, angle) = axes(who.covariance_m2);
    for x in [major, minor, angle] {
        out.push(b',');
        num(x, 1e3, out);
    }
    out.push(b',');
    let person = who.person.filter(|_| who.person_p >= PERSON_P_MIN);
    json::string_or_null(person.map(|p| names.person(p)), out);
    out.push(b',');
    num(who.person_p, 1e4, out);
    out.push(b',');
    let lost_s = match who.presence {
        Presence::Seen => 0.0,
        Presence::Lost => (now.since(who.seen_at).0 as f64 / 1e9).max(0.001),
    };
    num(lost_s, 1e1, out);
    out.extend_from_slice(b",[");
    let mut first = true;
    for zone in &who.zones {
        comma(&mut first, out);
        json::string(names.zone(*zone), out);
    }
    out.extend_from_slice(b"]]");
}

fn sighted(names: Names<'_>, sight: &Sight, out: &mut Vec<u8>) {
    out.push(b'[');
    json::string(names.sensor(sight.sensor), out);
    out.push(b',');
    num(sight.measured.0 as f64 / 1e9, 1e3, out);
    out.extend_from_slice(b",[");
    let mut first = true;
    for (level, at) in &sight.points {
        comma(&mut first, out);
        out.push(b'[');
        num(at.x_m, 1e3, out);
        out.push(b',');
        num(at.y_m, 1e3, out);
        out.push(b',');
        json::integer(u64::from(level.0), out);
        out.push(b']');
    }
    out.extend_from_slice(b"],");
    json::string_or_null(sight.said.as_deref(), out);
    out.push(b']');
}

/// What a rule holds of a device whose `state` says `off`, and which nobody holds there: who sets a lamp's level lights it,
/// and few lamps report so in their state.
pub(crate) fn held_though_off<'p>(names: Names<'_>, now: &'p [PropertyNow]) -> Option<&'p PropertyNow> {
    let (state, others) = now.split_first()?;
    let is_off = state.held_by.is_none() && state.value.is_some_and(|v| names.value(&v) == "off");
    others.iter().find(|p| is_off && p.held_by.is_some() && p.value.is_some())
}

/// `["recording","start-session","privacy",{"level":"80"}]`: state, who holds it, at which level, the other properties.
fn device(names: Names<'_>, now: &[PropertyNow], out: &mut Vec<u8>) {
    let holder = now.iter().find_map(|p| p.held_by);
    let shown = held_though_off(names, now).or(now.first()).and_then(|p| Some((p.property, p.value?)));
    let state = shown.map(|(property, value)| match property.as_str() {
        "state" => names.value(&value),
        other => format!("{other} {}", names.value(&value)),
    });
    out.push(b'[');
    json::string_or_null(state.as_deref(), out);
    out.push(b',');
    json::string_or_null(holder.map(|(rule, _)| names.book.name(rule)).as_deref(), out);
    out.push(b',');
    json::string_or_null(holder.and_then(|(rule, _)| names.level(Some(rule))), out);
    out.extend_from_slice(b",{");
    let mut first = true;
    for p in now.iter().skip(1) {
        if let Some(value) = p.value {
            comma(&mut first, out);
            json::string(p.property.as_str(), out);
            out.push(b':');
            json::string(&names.value(&value), out);
        }
    }
    out.extend_from_slice(b"}]");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axes_of_a_covariance_are_its_eigenvectors() {
        let (major, minor, angle) = axes([0.04, 0.0, 0.01]);
        assert!((major - 0.2).abs() < 1e-12 && (minor - 0.1).abs() < 1e-12 && angle.abs() < 1e-12);
        let (major, minor, angle) = axes([0.01, 0.0, 0.04]);
        assert!((major - 0.2).abs() < 1e-12 && (minor - 0.1).abs() < 1e-12);
        assert!((angle - std::f64::consts::FRAC_PI_2).abs() < 1e-12);
        // Turned by 45 degrees: xx = yy, and what they share tells the axes apart.
        let (major, minor, angle) = axes([0.025, 0.015, 0.025]);
        assert!((major - 0.2).abs() < 1e-12 && (minor - 0.1).abs() < 1e-12);
        assert!((angle - std::f64::consts::FRAC_PI_4).abs() < 1e-12);
        // Rounding may make it no covariance at all: a length is never NaN.
        assert_eq!(axes([0.0, 0.0, -1e-18]).1, 0.0);
    }
}
