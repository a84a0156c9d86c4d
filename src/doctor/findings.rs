//! What each fact means for latency, and the way to mend it.

use super::facts::{CAP_IPC_LOCK, CAP_SYS_NICE, Facts};
use osmose_model::site::{Idle, Topology};
use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Weight {
    /// As it should be.
    Good,
    /// It costs latency.
    Costs,
    /// The site cannot run like this.
    Fails,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// What.
    pub(crate) code: &'static str,
    /// How bad.
    pub(crate) weight: Weight,
    /// What was found.
    pub(crate) found: String,
    /// What it costs and how to mend it; empty where it is good.
    pub(crate) mend: String,
}

/// Bytes that the engine asks for at each socket that it listens on.
const RECEIVE_WANTED: u64 = 8 * 1024 * 1024;
/// Bytes that it asks for at the sockets that it sends from.
const SEND_WANTED: u64 = 1024 * 1024;
/// A sleep state whose waking takes longer than this shows in a budget of a millisecond.
const WAKE_US_MAX: u64 = 50;

fn good(code: &'static str, found: impl Into<String>) -> Finding {
    Finding { code, weight: Weight::Good, found: found.into(), mend: String::new() }
}

fn costs(code: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Finding {
    Finding { code, weight: Weight::Costs, found: found.into(), mend: mend.into() }
}

fn fails(code: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Finding {
    Finding { code, weight: Weight::Fails, found: found.into(), mend: mend.into() }
}

/// What is found of a machine, for a site that asks for `idle` and is composed as `topology`.
pub(crate) fn findings(f: &Facts, topology: Topology, idle: Idle, spinning_fits: Result<(), String>) -> Vec<Finding> {
    let mut all = vec![cores(f, topology)];
    all.push(match (idle, spinning_fits) {
        (Idle::Spin, Ok(())) => good("idle", "idle = \"spin\": no wake-up is in any latency"),
        (Idle::Spin, Err(why)) => fails("idle", "idle = \"spin\" does not fit this machine", why),
        (Idle::Yield, Ok(())) => costs(
            "idle",
            "idle = \"yield\": the first event after a pause waits until its thread is woken (some 5 us on bare metal, 50 to 200 us in a virtual machine)",
            "Where that matters more than a core's electricity, write idle = \"spin\" under [engine] of site.toml.",
        ),
        (Idle::Yield, Err(_)) => good("idle", "idle = \"yield\", and there is no core to spare for spinning"),
    });
    all.push(governor(f));
    all.push(isolated(f));
    all.extend(sleep_states(f));
    all.extend(clock(f));
    all.extend(hypervisor(f));
    all.extend(timer_slack(f));
    all.extend(buffers(f));
    all.extend(memory(f));
    all.extend(permissions(f));
    all
}

fn cores(f: &Facts, topology: Topology) -> Finding {
    let (n, online) = (f.cores_allowed.len(), f.cores_online);
    let name = format!("{topology:?}").to_lowercase();
    let found = format!("{n} of {online} core(s) for this process: topology {name}");
    match n {
        0 | 1 => costs(
            "cores",
            found,
            "The journal and everything else share the pipeline's only core and interrupt it. Allow a second one (AllowedCPUs= of the unit, or taskset).",
        ),
        _ => good("cores", found),
    }
}

fn governor(f: &Facts) -> Finding {
    match f.governors.as_slice() {
        [] => good("governor", "no frequency governor: the frequency is the host's or the firmware's affair"),
        all if all.iter().all(|g| g == "performance") => good("governor", "governor performance"),
        all => costs(
            "governor",
            format!("governor {}", all.join(", ")),
            "After a pause the core is slow for some milliseconds. Set it: `cpupower frequency-set -g performance`, and at boot by your distribution's service for it.",
        ),
    }
}

fn isolated(f: &Facts) -> Finding {
    if !f.isolated.is_empty() {
        return good("isolated", format!("cores {} are kept free of other work", f.isolated));
    }
    if f.cores_online < 3 {
        return good("isolated", "no core is isolated, and with so few none can be spared");
    }
    let last = f.cores_online - 1;
    costs(
        "isolated",
        "no core is kept free of other work",
        format!(
            "Other programs and the kernel's own work interrupt the pipeline. Boot with isolcpus={last} nohz_full={last} rcu_nocbs={last}; the pipeline is pinned to the last core that it may use."
        ),
    )
}

fn sleep_states(f: &Facts) -> Option<Finding> {
    let deep: Vec<String> = f
        .sleep_states
        .iter()
        .filter(|s| s.wake_us > WAKE_US_MAX)
        .map(|s| format!("{} ({} us)", s.name, s.wake_us))
        .collect();
    if f.sleep_states.is_empty() {
        return None;
    }
    if deep.is_empty() {
        return Some(good("sleep-states", "no sleep state takes long to wake from"));
    }
    Some(costs(
        "sleep-states",
        format!("cores sleep deeply: {}", deep.join(", ")),
        format!(
            "The first event after a pause pays for the waking. Boot with intel_idle.max_cstate=1 processor.max_cstate=1, or `cpupower idle-set -D {WAKE_US_MAX}`; idle = \"spin\" avoids it too."
        ),
    ))
}

fn clock(f: &Facts) -> Option<Finding> {
    let clock = f.clock.as_deref()?;
    Some(match clock {
        "tsc" | "kvm-clock" | "arch_sys_counter" | "hyperv_clocksource_tsc_page" => {
            good("clock", format!("clock source {clock}: reading it needs no system call"))
        }
        _ => costs(
            "clock",
            format!("clock source {clock}"),
            "Each reading of the clock is a system call or a slow register: some 0.3 to 1 us, several times an event. Boot with clocksource=tsc where the processor's is invariant.",
        ),
    })
}

fn hypervisor(f: &Facts) -> Option<Finding> {
    if !f.virtual_machine {
        return None;
    }
    let share = f.stolen_of.filter(|(_, all)| *all > 0).map(|(stolen, all)| stolen as f64 / all as f64 * 100.0);
    let stolen =
        share.map_or_else(String::new, |s| format!("; {s:.2} % of its time was taken by others since it started"));
    Some(costs(
        "hypervisor",
        format!("this is a virtual machine{stolen}"),
        "Its cores are taken away for milliseconds at a time, and no setting in here changes that: ask for pinned, dedicated cores. `osmose bench latency` shows what is left; `osmose doctor SITE --probe 10` measures the gaps alone.",
    ))
}

fn timer_slack(f: &Facts) -> Option<Finding> {
    let ns = f.timer_slack_ns?;
    let us = ns as f64 / 1e3;
    if ns <= 1_000 {
        return Some(good("timer-slack", format!("timers may run {us:.1} us late")));
    }
    Some(costs(
        "timer-slack",
        format!("timers may run {us:.0} us late to save wake-ups"),
        "A rule that waits for an instant is late by as much where the thread sleeps until then. Set TimerSlackNSec=1 in the unit (dist/osmose.service has it).",
    ))
}

fn buffers(f: &Facts) -> Vec<Finding> {
    let of = |code, what: &str, key: &str, have: Option<u64>, wanted: u64| {
        let have = have?;
        let mib = |b: u64| b as f64 / 1048576.0;
        Some(if have >= wanted {
            good(code, format!("{what} buffers of {:.1} MiB may be had", mib(have)))
        } else {
            costs(
                code,
                format!("{what} buffers end at {:.2} MiB, the engine asks for {:.0} MiB", mib(have), mib(wanted)),
                format!(
                    "What comes while the core is taken away is dropped by the kernel sooner (it is counted). Set it: `sysctl -w {key}={wanted}`, and in /etc/sysctl.d/ for the next boot."
                ),
            )
        })
    };
    [
        of("receive-buffer", "receive", "net.core.rmem_max", f.receive_max, RECEIVE_WANTED),
        of("send-buffer", "send", "net.core.wmem_max", f.send_max, SEND_WANTED),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn memory(f: &Facts) -> Option<Finding> {
    let used = f.swap_used_kib?;
    if used == 0 {
        return Some(good("swap", "nothing is swapped out"));
    }
    Some(costs(
        "swap",
        format!(
            "{} MiB are swapped out (vm.swappiness {})",
            used / 1024,
            f.swappiness.map_or_else(|| "unknown".into(), |s| s.to_string())
        ),
        "A page of the engine that was swapped out costs milliseconds at its next use. Give the machine memory, set MemorySwapMax=0 in the unit, or `swapoff -a`.",
    ))
}

fn permissions(f: &Facts) -> Vec<Finding> {
    let mut all = vec![];
    for (addr, why) in &f.ports_taken {
        all.push(fails(
            "port",
            format!("udp {addr} cannot be bound: {why}"),
            "Another program, or a running engine of this site, holds it; or the address is not this machine's. `ss -lunp` says who.",
        ));
    }
    if f.ports_taken.is_empty() {
        all.push(good("port", "every port of the site can be bound"));
    }
    for (folder, why) in &f.unwritable {
        all.push(fails(
            "folder",
            format!("{} cannot be written: {why}", folder.display()),
            "State and recordings are kept there. Give the engine's user the folder, or name another with --state and [record] dir.",
        ));
    }
    if let Some((folder, sort)) = &f.slow_state {
        all.push(costs(
            "state-disk",
            format!("{} lies on {sort}", folder.display()),
            "The journal is a mapped file: where its pages wait for a network or for another program, writing to it stalls the pipeline. Put --state on a local disk.",
        ));
    }
    if let Some(caps) = f.capabilities {
        let has = |bit: u64| caps & bit != 0;
        all.push(if has(CAP_SYS_NICE) {
            good("priority", "this user may raise priorities")
        } else {
            costs(
                "priority",
                "this user may not raise priorities",
                "Nothing in the engine needs it; the unit's Nice=-10 and AllowedCPUs= do it from outside. `osmose bench` needs it for a probe that a spinning neighbour cannot delay (AmbientCapabilities=CAP_SYS_NICE).",
            )
        });
        if !has(CAP_IPC_LOCK) && f.swap_used_kib.is_some_and(|s| s > 0) {
            all.push(costs(
                "memory-lock",
                "this user may not lock memory, and there is swap in use",
                "Set LimitMEMLOCK=infinity or MemorySwapMax=0 in the unit.",
            ));
        }
    }
    all
}

/// As people read it: what costs first.
pub(crate) fn render(all: &[Finding]) -> String {
    let mut out = String::new();
    for (weight, head) in
        [(Weight::Fails, "cannot run like this"), (Weight::Costs, "costs latency"), (Weight::Good, "good")]
    {
        let of: Vec<&Finding> = all.iter().filter(|f| f.weight == weight).collect();
        if of.is_empty() {
            continue;
        }
        out.push_str(head);
        out.push('\n');
        for f in of {
            out.push_str(&format!("  {}: {}\n", f.code, f.found));
            if !f.mend.is_empty() {
                out.push_str(&format!("      {}\n", f.mend));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn weight(all: &[Finding], code: &str) -> Option<Weight> {
        all.iter().find(|f| f.code == code).map(|f| f.weight)
    }

    fn quiet() -> Facts {
        Facts {
            cores_online: 4,
            cores_allowed: vec![0, 1, 2, 3],
            governors: vec!["performance".into()],
            isolated: "3".into(),
            clock: Some("tsc".into()),
            timer_slack_ns: Some(1),
            receive_max: Some(16 << 20),
            send_max: Some(16 << 20),
            swap_used_kib: Some(0),
            capabilities: Some(CAP_SYS_NICE),
            ..Facts::default()
        }
    }

    #[test]
    fn a_machine_made_for_it_has_nothing_to_mend() {
        let all = findings(&quiet(), Topology::Split, Idle::Spin, Ok(()));
        assert!(all.iter().all(|f| f.weight == Weight::Good && f.mend.is_empty()), "{}", render(&all));
        assert!(all.len() >= 10, "{}", all.len());
    }

    #[test]
    fn everything_that_costs_is_found_and_says_how_to_mend_it() {
        let bad = Facts {
            cores_allowed: vec![0],
            virtual_machine: true,
            stolen_of: Some((50, 1000)),
            governors: vec!["powersave".into()],
            isolated: String::new(),
            sleep_states: vec![super::super::facts::SleepState { name: "C8".into(), wake_us: 300 }],
            clock: Some("hpet".into()),
            timer_slack_ns: Some(50_000),
            receive_max: Some(212_992),
            send_max: Some(212_992),
            swap_used_kib: Some(2048),
            capabilities: Some(0),
            ports_taken: vec![(([127, 0, 0, 1], 7801).into(), "Address already in use".into())],
            unwritable: vec![(PathBuf::from("/state"), "Permission denied".into())],
            slow_state: Some((PathBuf::from("/state"), "nfs4".into())),
            ..quiet()
        };
        let all = findings(&bad, Topology::Fused, Idle::Spin, Err("Set idle = \"yield\" in site.toml.".into()));
        for code in [
            "cores",
            "governor",
            "isolated",
            "sleep-states",
            "clock",
            "hypervisor",
            "timer-slack",
            "receive-buffer",
            "send-buffer",
            "swap",
            "state-disk",
            "priority",
            "memory-lock",
        ] {
            assert_eq!(weight(&all, code), Some(Weight::Costs), "{code}");
        }
        for code in ["idle", "port", "folder"] {
            assert_eq!(weight(&all, code), Some(Weight::Fails), "{code}");
        }
        assert!(
            all.iter().filter(|f| f.weight != Weight::Good).all(|f| f.mend.ends_with('.') || f.mend.ends_with(')'))
        );
        assert!(render(&all).starts_with("cannot run like this\n"));
        assert!(render(&all).contains("5.00 % of its time"), "{}", render(&all));
    }
}
