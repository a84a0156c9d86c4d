//! A step in the steady state takes nothing from the allocator: counted, not claimed.

mod common;
use common::*;
use osmose_model::command::{Effect, Value};
use osmose_model::ids::ActuatorId;
use osmose_model::input::Report;
use osmose_model::limits::COMMANDS_PER_STEP_MAX;
use osmose_model::stages::Arbitrate;
use osmose_plan::Plan;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static TAKEN: Cell<u64> = const { Cell::new(0) };
}

/// Counts what this thread takes from the system's allocator.
struct Counting;

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract of `GlobalAlloc`; the
// counter is a thread-local cell that itself allocates nothing.
#[expect(unsafe_code, reason = "an allocator that counts can only be written as one; it is part of this test alone")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        TAKEN.with(|t| t.set(t.get() + 1));
        // SAFETY: the caller's contract, passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract, passed on.
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        TAKEN.with(|t| t.set(t.get() + 1));
        // SAFETY: the caller's contract, passed on.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn taken() -> u64 {
    TAKEN.with(Cell::get)
}

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
    let (mut sent, before) = (0, taken());
    assert!(before > 0, "the counter counts");
    for round in 0..10_000 {
        effects(round, DEVICES, &mut batch);
        plan.step(tag(round + 1), None, 0, &mut batch, &mut out, &mut changed);
        sent += out.len();
        let value = Value::Number((round % 7) as f64);
        let report =
            Report { actuator: ActuatorId((round % DEVICES) as u16), property: name("level"), value, source_seq: None };
        plan.on_report(tag(round + 1), &report, &mut changed);
        out.clear();
        changed.clear();
    }
    let steps = taken() - before;
    assert!(sent > 10_000, "only {sent} commands");
    assert_eq!(steps, 0, "{steps} allocations in 10,000 steps that sent {sent} commands");
}
