//! A step in the steady state takes nothing from the allocator: counted, not claimed.

mod common;
use allocation_counter::measure;
use common::*;
use osmose_model::command::{Effect, Value};
use osmose_model::ids::ActuatorId;
use osmose_model::input::Report;
use osmose_model::limits::COMMANDS_PER_STEP_MAX;
use osmose_model::stages::Arbitrate;
use osmose_plan::Plan;

/// Sixteen effects over many devices and holders, different in each of eight rounds.
fn effects(round: u64, devices: u64, into: &mut Vec<Effect>) {
    for i in 0..16 {
        let key = round * 16 + i;
        let device = ActuatorId((key % devices) as u16);
        into.push(match key % 4 {
            0 => hold((key % 1000) as u32, (i % 5) as u8, device, "level", Value::Number(key as f64)),
            1 => perform(1, 4, device, "set", &[("level", Value::Number(key as f64))]),
            2 => forbid(1000 + (key % 1000) as u32, (i % 5) as u8, device, "off"),
            _ => release(((key * 7) % 2000) as u32),
        });
    }
}

#[test]
fn a_step_in_the_steady_state_does_not_allocate() {
    const DEVICES: u64 = 300;
    let mut plan = Plan::new(&lights(DEVICES as usize));
    let mut batch = Vec::with_capacity(64);
    let mut out = Vec::with_capacity(COMMANDS_PER_STEP_MAX);
    let mut changed = Vec::with_capacity(DEVICES as usize);
    let counts = measure(|| drop(std::hint::black_box(Box::new(1)))).count_total;
    assert_eq!(counts, 1, "the counter counts");
    let mut sent = 0;
    let taken = measure(|| {
        for round in 0..10_000 {
            effects(round, DEVICES, &mut batch);
            plan.step(tag(round + 1), None, 0, &mut batch, &mut out, &mut changed);
            sent += out.len();
            let value = Value::Number((round % 7) as f64);
            let actuator = ActuatorId((round % DEVICES) as u16);
            let report = Report { actuator, property: name("level"), value, source_seq: None };
            plan.on_report(tag(round + 1), &report, &mut changed);
            out.clear();
            changed.clear();
        }
    });
    let steps = taken.count_total;
    assert!(sent > 10_000, "only {sent} commands");
    assert_eq!(steps, 0, "{steps} allocations in 10,000 steps that sent {sent} commands");
}
