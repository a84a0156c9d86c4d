//! How long commands took in the last minute: engine (arrival to hand-over) and human (true event to device report),
//! the second split into its parts, against their budgets.

use osmose_model::command::CommandId;
use osmose_model::ids::RuleId;
use osmose_model::time::LogicalNs;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};

/// The window, seconds.
pub const WINDOW_S: i64 = 60;
/// Commands in it at most: the oldest go first where there are more.
const SAMPLES_MAX: usize = 16 * 1024;
/// Commands of one rule that its row of the last hour is made of.
const RULE_SAMPLES_MAX: usize = 1024;
/// A percentile that fewer samples than this lie beyond is not shown.
const BEYOND_MIN: usize = 100;
const HOUR_NS: i64 = 3_600_000_000_000;

/// Where a command's time went, microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Split {
    /// From the sample being true to its arrival.
    pub sensing: u64,
    /// From the deciding input to the command: what the rule waited by itself.
    pub settle: u64,
    /// From arrival to hand-over.
    pub engine: u64,
    /// From hand-over to the device's report.
    pub device: u64,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    id: CommandId,
    at: LogicalNs,
    engine_us: u64,
    human: Option<Split>,
}

#[derive(Clone, Debug, Default)]
struct RuleRow {
    fired: VecDeque<(LogicalNs, u64, bool)>,
}

/// The last minute, and the last hour by rule.
#[derive(Clone, Debug, Default)]
pub struct Latency {
    samples: VecDeque<Sample>,
    rules: BTreeMap<RuleId, RuleRow>,
    late: u64,
}

impl Latency {
    /// A command was handed over.
    pub fn sent(&mut self, id: CommandId, rule: Option<RuleId>, at: LogicalNs, engine_us: u64, is_late: bool) {
        self.late += u64::from(is_late);
        if self.samples.len() >= SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample { id, at, engine_us, human: None });
        if let Some(rule) = rule {
            let row = self.rules.entry(rule).or_default();
            if row.fired.len() >= RULE_SAMPLES_MAX {
                row.fired.pop_front();
            }
            row.fired.push_back((at, engine_us, is_late));
        }
    }

    /// Its device reported.
    pub fn reported(&mut self, id: CommandId, split: Split) {
        if let Some(sample) = self.samples.iter_mut().rev().find(|s| s.id == id) {
            sample.human = Some(split);
        }
    }

    /// Other rules have other numbers.
    pub fn forget_rules(&mut self) {
        self.rules.clear();
    }

    /// Commands beyond their budget since the page's engine started.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.late
    }

    /// The part of a `stat` message that tells of times.
    pub fn tell(&mut self, now: LogicalNs, name: impl Fn(RuleId) -> String) -> Value {
        let from = now.0.saturating_sub(WINDOW_S * 1_000_000_000);
        while self.samples.front().is_some_and(|s| s.at.0 < from) {
            self.samples.pop_front();
        }
        for row in self.rules.values_mut() {
            while row.fired.front().is_some_and(|f| f.0.0 < now.0.saturating_sub(HOUR_NS)) {
                row.fired.pop_front();
            }
        }
        let engine = self.samples.iter().map(|s| s.engine_us).collect();
        let human: Vec<u64> =
            self.samples.iter().filter_map(|s| s.human).map(|h| h.sensing + h.settle + h.engine + h.device).collect();
        let split = self.median_split();
        let mut rules: Vec<Value> = self.rules.iter().filter(|(_, r)| !r.fired.is_empty()).map(|(id, r)| {
            let mut times: Vec<u64> = r.fired.iter().map(|f| f.1).collect();
            times.sort_unstable();
            let late = r.fired.iter().filter(|f| f.2).count();
            json!({"id": name(*id), "n": times.len(), "p50_us": times[(times.len() - 1) / 2], "max_us": times[times.len() - 1], "late": late})
        }).collect();
        rules.sort_by_key(|r| std::cmp::Reverse(r["n"].as_u64()));
        json!({"latency": {"engine_us": percentiles(engine), "human_us": percentiles(human), "late": self.late},
            "human_split_us": split, "rules": rules})
    }

    /// The split of the command whose human time is the median.
    fn median_split(&self) -> Value {
        let mut all: Vec<Split> = self.samples.iter().filter_map(|s| s.human).collect();
        all.sort_unstable_by_key(|h| h.sensing + h.settle + h.engine + h.device);
        match all.get(all.len().saturating_sub(1) / 2) {
            Some(h) => {
                json!({"sensing": h.sensing, "settle": h.settle, "engine": h.engine, "device": h.device})
            }
            None => Value::Null,
        }
    }
}

/// p50, p99, p99.9, max and the number; a percentile with fewer than a hundred samples beyond it is `null`, but the
/// median and the largest are what they are.
fn percentiles(mut all: Vec<u64>) -> Value {
    all.sort_unstable();
    let n = all.len();
    let at = |per_mille: usize| {
        let beyond = n - n * per_mille / 1000;
        (beyond >= BEYOND_MIN).then(|| all[(n * per_mille / 1000).min(n - 1)])
    };
    let median = (n > 0).then(|| all[(n - 1) / 2]);
    json!({"p50": median, "p99": at(990), "p999": at(999), "max": all.last(), "n": n})
}

#[cfg(test)]
mod tests {
    use super::*;
    use osmose_model::ids::Seq;

    fn id(seq: u64) -> CommandId {
        CommandId { seq: Seq(seq), n: 0 }
    }

    #[test]
    fn percentiles_are_shown_only_where_enough_lies_beyond_them() {
        let few = percentiles((1..=50).collect());
        assert_eq!((&few["p50"], &few["max"], &few["n"]), (&json!(25), &json!(50), &json!(50)));
        assert!(few["p99"].is_null() && few["p999"].is_null());
        let many = percentiles((1..=200_000).collect());
        assert_eq!((&many["p99"], &many["p999"]), (&json!(198_001), &json!(199_801)));
        assert_eq!(percentiles(vec![])["p50"], Value::Null);
    }

    #[test]
    fn what_is_older_than_a_minute_is_gone_and_what_was_late_stays_counted() {
        let mut latency = Latency::default();
        latency.sent(id(1), Some(RuleId(0)), LogicalNs(0), 2000, true);
        latency.sent(id(2), Some(RuleId(0)), LogicalNs(50_000_000_000), 100, false);
        latency.reported(id(2), Split { sensing: 40_000, settle: 0, engine: 100, device: 4_000 });
        let told = latency.tell(LogicalNs(70_000_000_000), |r| format!("r{r}"));
        assert_eq!(told["latency"]["engine_us"]["n"], 1);
        assert_eq!(told["latency"]["human_us"]["max"], 44_100);
        assert_eq!(told["latency"]["late"], 1);
        assert_eq!(told["rules"][0], json!({"id": "r0", "n": 2, "p50_us": 100, "max_us": 2000, "late": 1}));
        assert_eq!(told["human_split_us"]["sensing"], 40_000);
    }
}
