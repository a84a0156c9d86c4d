//! `osmose check SITE`: every fault in a site, what the site comes to, and what each rule costs, drives and lets wait.

use crate::outcome::{Ended, Outcome};
use crate::site::{Examined, examine};
use osmose_model::device::{Actuator, SensorKind};
use osmose_model::ids::RuleId;
use osmose_model::site::Site;
use osmose_rules::Program;
use osmose_rules::conflict::Proven;
use osmose_rules::cost::{Costs, RuleCost};
use std::path::PathBuf;

/// Check everything in a site: plan, devices, people, rules
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  osmose check examples/coworking\n  osmose check my-office --json | jq '.[].message'\n\n\
                  A rule's cost is the worst case of one event. Times are operations times a table: SITE/.osmose/cost.json \
                  where it is there, else the committed default. \
                  `osmose plan check SITE` looks at the plan as a place to walk in."
)]
pub(crate) struct Check {
    /// The site's folder
    site: PathBuf,
    /// A list of `{severity,code,file,line,column,feature,message,help}` on stdout; each rule's cost is a note
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(crate) fn run(self) -> Ended {
        let found = examine(&self.site);
        let errors = found.errors();
        if self.json {
            println!("{}", as_json(&found));
        } else {
            found.print();
            describe(&found);
            println!("{}: {errors} error(s), {} warning(s)", self.site.display(), found.warnings());
        }
        Ok(if errors == 0 { Outcome::Success } else { Outcome::Found })
    }
}

fn as_json(found: &Examined) -> serde_json::Value {
    let faults = found.faults.iter().filter_map(|f| serde_json::to_value(f).ok());
    let rules = found.diagnostics.iter().map(|d| d.to_json(found.rule_text(&d.file)));
    let costs = found.assessed().into_iter().flat_map(|(site, program, costs)| {
        (0..program.rules().len()).map(move |i| cost_json(found, site, program, costs, RuleId(i as u16)))
    });
    serde_json::Value::Array(faults.chain(rules).chain(costs).collect())
}

/// One rule's cost as a note of the list.
fn cost_json(found: &Examined, site: &Site, program: &Program, costs: &Costs, id: RuleId) -> serde_json::Value {
    let (rule, cost) = (&program.rules()[id.index()], &costs.rules[id.index()]);
    let (line, column) = osmose_rules::diag::line_column(found.rule_text(&rule.file), rule.span.start);
    serde_json::json!({
        "severity": "note",
        "code": "cost",
        "file": rule.file,
        "line": line,
        "column": column,
        "feature": rule.name,
        "message": format!("at worst {} from an event to its command", us(cost.reaction_us)),
        "help": serde_json::Value::Null,
        "cost": {
            "operations": cost.ops.total(),
            "class": cost.class,
            "us": cost.us,
            "reaction_us": cost.reaction_us,
            "deadline_us": cost.deadline_us,
            "margin_us": cost.margin_us(),
            "memory_bytes": cost.memory_bytes,
            "human_ms": { "sensing": cost.human.sensing_ms, "dampers": cost.human.dampers_ms, "engine": cost.human.engine_ms },
            "instances": rule.instances.len(),
            "drives": drives(site, program, id),
            "table": found.table.machine,
        },
    })
}

fn drives<'s>(site: &'s Site, program: &Program, id: RuleId) -> Vec<&'s str> {
    program.drives(id).iter().map(|a| site.actuators[a.index()].name.as_str()).collect()
}

/// What the site holds, in numbers, and what each rule costs and drives.
fn describe(found: &Examined) {
    let Some(site) = &found.site else { return };
    println!(
        "site {:?}: {} level(s), {} zone(s), {} wall(s), {} opening(s), {} sensor(s), {} actuator(s), {} people in {} group(s)",
        site.name,
        site.levels.len(),
        site.zones.len(),
        site.walls.len(),
        site.openings.len(),
        site.sensors.len(),
        site.actuators.len(),
        site.people.len(),
        site.groups.len()
    );
    for &kind in SensorKind::ALL {
        let n = site.sensors.iter().filter(|s| s.kind == kind).count();
        if n > 0 {
            println!("  {n:3} x {kind}");
        }
    }
    if let Some((site, program, costs)) = found.assessed() {
        describe_rules(found, site, program, costs);
    }
}

fn describe_rules(found: &Examined, site: &Site, program: &Program, costs: &Costs) {
    println!("cost table: {}; the worst case of one event:", found.table.machine);
    for (class, ops, time) in costs.classes.iter().filter(|(_, ops, _)| ops.total() > 0) {
        println!("  {:<6} {:>9} operations {:>9}, all rules", class.as_str(), ops.total(), us(*time));
    }
    println!("  memory {:.1} MiB, all rules", costs.memory_bytes as f64 / 1_048_576.0);
    for (i, (rule, cost)) in program.rules().iter().zip(&costs.rules).enumerate() {
        println!("rule {} ({}, {} instance(s))", rule.name, rule.file, rule.instances.len());
        println!("  cost     {}", cost_line(cost));
        println!("  deadline {}", deadline_line(cost));
        println!("  human    {}", human_line(cost));
        println!("  drives   {}", list(&drives(site, program, RuleId(i as u16))));
        if let Some(leases) = leases_line(site, program, RuleId(i as u16)) {
            println!("  leases   {leases}");
        }
    }
    for proof in &found.proofs {
        let verdict = match proof.proven {
            Proven::Yes => "proven",
            Proven::No => "NOT SO",
            Proven::Open => "not proven",
        };
        println!("{}: {verdict}: {}", proof.text, proof.why);
    }
}

fn cost_line(cost: &RuleCost) -> String {
    let Some(class) = cost.class else { return "nothing: nothing in this site wakes it".into() };
    let memory = match cost.memory_bytes {
        b if b >= 1_048_576 => format!("{:.1} MiB", b as f64 / 1_048_576.0),
        b if b >= 1024 => format!("{:.1} KiB", b as f64 / 1024.0),
        b => format!("{b} bytes"),
    };
    let (ops, total) = (&cost.ops, cost.ops.total());
    format!("{} for one {} event, {total} operations: {ops}; {memory} remembered", us(cost.us), class.as_str())
}

fn deadline_line(cost: &RuleCost) -> String {
    let worst = us(cost.reaction_us);
    match (cost.deadline_us, cost.margin_us()) {
        (Some(deadline), Some(margin)) if margin >= 0.0 => {
            format!("{}, at worst {worst}: {} to spare", us(deadline), us(margin))
        }
        (Some(deadline), Some(margin)) => format!("{}, at worst {worst}: {} TOO LATE", us(deadline), us(-margin)),
        _ => format!("none; at worst {worst}"),
    }
}

fn human_line(cost: &RuleCost) -> String {
    let sensing = match cost.human.sensing_ms {
        Some(ms) => format!("sensing up to {}", us(ms * 1e3)),
        None => "sensing as its sensors speak".into(),
    };
    format!(
        "{} = {sensing} + dampers {} + engine {}",
        us(cost.human.total_ms() * 1e3),
        us(cost.human.dampers_ms * 1e3),
        us(cost.human.engine_ms * 1e3)
    )
}

/// What the rule holds so that it must be renewed at the device, and of that what cannot be.
fn leases_line(site: &Site, program: &Program, id: RuleId) -> Option<String> {
    let held = program.leases(id);
    let (leased, bare): (Vec<_>, Vec<_>) =
        held.iter().map(|a| &site.actuators[a.index()]).partition(|a| a.lease.is_some());
    let names = |devices: &[&Actuator]| list(&devices.iter().map(|a| a.name.as_str()).collect::<Vec<_>>());
    let mut parts = Vec::new();
    if let (Some(shortest), Some(longest)) =
        (leased.iter().filter_map(|a| a.lease).min(), leased.iter().filter_map(|a| a.lease).max())
    {
        let length = match us(shortest.as_s_f64() * 1e6) {
            one if shortest == longest => one,
            one => format!("{one} to {}", us(longest.as_s_f64() * 1e6)),
        };
        let themselves = if leased.len() == 1 { "itself" } else { "themselves" };
        parts.push(format!("{}: safe by {themselves} {length} after the engine is gone", names(&leased)));
    }
    if !bare.is_empty() {
        parts.push(format!("{}: no `safe` state, they stay as they are", names(&bare)));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// A length of time in the unit in which people read it.
fn us(us: f64) -> String {
    match us {
        us if us >= 60e6 => format!("{:.1} min", us / 60e6),
        us if us >= 1e6 => format!("{:.1} s", us / 1e6),
        us if us >= 1e3 => format!("{:.1} ms", us / 1e3),
        us if us >= 10.0 => format!("{us:.0} us"),
        us if us > 0.0 => format!("{us:.2} us"),
        _ => "0".into(),
    }
}

/// A list that stays readable when a rule drives half the building.
fn list(names: &[&str]) -> String {
    const SHOWN: usize = 8;
    match names.len() {
        0 => "nothing".into(),
        n if n <= SHOWN => names.join(", "),
        n => format!("{} and {} more", names[..SHOWN].join(", "), n - SHOWN),
    }
}
