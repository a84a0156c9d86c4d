//! What a person waits: from what he does to the device's command. A deadline bounds the engine's share only; sensing
//! and dampers come before it (RULES.md) and are usually thousands of times as long.

use crate::program::{Cond, CondId, Instance, Program, RuleInfo};
use osmose_model::device::{Sensor, SensorKind};
use osmose_model::ids::{SensorId, ZoneId};
use osmose_model::site::Site;
use osmose_model::time::DurationNs;
use osmose_model::world::EventKind;

/// The parts of a person's wait, in the order in which they pass.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Human {
    /// Until a sensor looks: the period of the slowest of those that each alone cover what the rule reads. `None`
    /// where none of them says how often it speaks, or none is asked.
    pub sensing_ms: Option<f64>,
    /// Zone delays, then the longest `for`, then `settle`.
    pub dampers_ms: f64,
    /// The engine's worst reaction.
    pub engine_ms: f64,
}

impl Human {
    /// All together; what is not known counts as nothing.
    pub fn total_ms(&self) -> f64 {
        self.sensing_ms.unwrap_or(0.0) + self.dampers_ms + self.engine_ms
    }
}

pub(super) fn wait(program: &Program, site: &Site, rule: &RuleInfo, own: &[Instance], reaction_us: f64) -> Human {
    let mut wait = Human { engine_ms: reaction_us / 1e3, ..Human::default() };
    let mut dampers = DurationNs::ZERO;
    for instance in own {
        let mut reads = Reads::default();
        let dwell = reads.of(program, site, instance.condition);
        dampers = dampers.max(DurationNs(dwell.0.saturating_add(rule.settle.0)));
        for period in reads.zones.iter().filter_map(|z| zone_period_ms(site, *z)) {
            wait.sensing_ms = Some(wait.sensing_ms.unwrap_or(0.0).max(period));
        }
        for period in reads.sensors.iter().filter_map(|s| period_ms(&site.sensors[s.index()])) {
            wait.sensing_ms = Some(wait.sensing_ms.unwrap_or(0.0).max(period));
        }
    }
    wait.dampers_ms = dampers.0 as f64 / 1e6;
    wait
}

fn period_ms(sensor: &Sensor) -> Option<f64> {
    sensor.rate_hz.filter(|r| *r > 0.0).map(|r| 1e3 / r)
}

/// The period of the fastest sensor that finds people in a zone.
fn zone_period_ms(site: &Site, zone: ZoneId) -> Option<f64> {
    use SensorKind::{Location, Points, Position, Range, Tdoa};
    let level = site.zones[zone.index()].level;
    let finds = |s: &&Sensor| {
        let somewhere = matches!(s.kind, Location | Position | Points | Range | Tdoa);
        s.zones.contains(&zone) || s.zones.is_empty() && somewhere && s.level == level
    };
    site.sensors.iter().filter(finds).filter_map(period_ms).reduce(f64::min)
}

/// What a condition reads of the world.
#[derive(Default)]
struct Reads {
    zones: Vec<ZoneId>,
    sensors: Vec<SensorId>,
}

impl Reads {
    /// Notes what a condition reads; gives how long it has to hold at most before it is true.
    fn of(&mut self, program: &Program, site: &Site, id: CondId) -> DurationNs {
        let none = DurationNs::ZERO;
        match &program.conds[id as usize] {
            Cond::And { from, to } | Cond::Or { from, to } => {
                let parts = &program.children[*from as usize..*to as usize];
                parts.iter().map(|c| self.of(program, site, *c)).fold(none, DurationNs::max)
            }
            Cond::Not(inner) | Cond::IsUnknown(inner) => self.of(program, site, *inner),
            Cond::For { inner, length, .. } => DurationNs(self.of(program, site, *inner).0.saturating_add(length.0)),
            Cond::Until { set, .. } => self.of(program, site, *set),
            Cond::Event { kind, zone, .. } => {
                self.zones.push(*zone);
                let margins = &site.zones[zone.index()].margins;
                match kind {
                    EventKind::Leaves => margins.exit_delay,
                    EventKind::Lost => margins.lost,
                    _ => none,
                }
            }
            Cond::Occupied(zone)
            | Cond::TrackIn(_, zone)
            | Cond::PersonIn(_, zone)
            | Cond::AnyIn(_, zone)
            | Cond::EveryIn(_, zone) => {
                self.zones.push(*zone);
                none
            }
            Cond::SwitchIs { sensor, .. } => {
                self.sensors.push(*sensor);
                none
            }
            Cond::Within { event, .. } | Cond::Times { event, .. } => self.of(program, site, *event),
            // Its last part is what people wait for; an absence takes all of its time.
            Cond::Sequence { from, to, .. } => {
                let parts = &program.sequence[*from as usize..*to as usize];
                let each = parts.iter().map(|part| {
                    let own = self.of(program, site, part.cond);
                    match (part.kind, part.within) {
                        (crate::program::SeqKind::Absent, Some(within)) => within,
                        _ => own,
                    }
                });
                each.last().unwrap_or(none)
            }
            Cond::Sensed { from, to, .. } | Cond::Gesture { from, to, .. } | Cond::NoMotion { from, to } => {
                self.sensors.extend_from_slice(&program.sensors[*from as usize..*to as usize]);
                none
            }
            Cond::Compare(_, a, b) => {
                self.number(program, *a);
                self.number(program, *b);
                none
            }
            // What else there is waits for nothing that senses.
            _ => none,
        }
    }

    fn number(&mut self, program: &Program, id: crate::program::NumId) {
        use crate::program::Num;
        match &program.nums[id as usize] {
            Num::Count(zone) => self.zones.push(*zone),
            Num::Sensor(sensor) => self.sensors.push(*sensor),
            Num::CountWhere { zone, .. } => self.zones.push(*zone),
            Num::Window(place) => self.number(program, program.windows[usize::from(*place)].of),
            Num::Add(a, b) | Num::Sub(a, b) | Num::Mul(a, b) | Num::Div(a, b) | Num::Min(a, b) | Num::Max(a, b) => {
                self.number(program, *a);
                self.number(program, *b);
            }
            _ => {}
        }
    }
}
