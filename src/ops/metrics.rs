//! The engine's sums in Prometheus' text form. They are read at the moment when somebody asks, from what the pipeline
//! threads have handed out already: asking costs them nothing.

use osmose_bench::host::kernel_drops;
use osmose_runtime::latency::exchange::Latencies;
use osmose_runtime::latency::totals::Totals;
use osmose_runtime::latency::{Kind, Segment, Span};
use osmose_runtime::logs::Names;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::text;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt;

/// Upper ends of the histograms' buckets, seconds: dense about the budget of a millisecond.
const BUCKETS_S: [f64; 16] =
    [5e-6, 10e-6, 20e-6, 50e-6, 100e-6, 200e-6, 500e-6, 750e-6, 1e-3, 1.5e-3, 2e-3, 5e-3, 10e-3, 50e-3, 100e-3, 1.0];

/// What is shown.
#[derive(Clone)]
pub(crate) struct Shown {
    /// The engine's sums.
    pub(crate) latencies: Latencies,
    /// What its rules are called; shared with the logs.
    pub(crate) names: Names,
    /// Its site.
    pub(crate) site: String,
    /// How it is composed.
    pub(crate) topology: String,
    /// The ports that it listens on.
    pub(crate) ports: Vec<u16>,
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").field("site", &self.site).finish_non_exhaustive()
    }
}

/// All of it, as Prometheus reads it.
pub(crate) fn render(shown: &Shown) -> String {
    let mut registry = Registry::with_prefix("osmose");
    registry.register_collector(Box::new(shown.clone()));
    let mut out = String::with_capacity(16 * 1024);
    // Writing into memory fails only where a label cannot be written, and ours are texts.
    if let Err(error) = text::encode(&mut out, &registry) {
        tracing::error!(%error, "the metrics could not be written");
    }
    out
}

impl Collector for Shown {
    fn encode(&self, mut e: DescriptorEncoder<'_>) -> fmt::Result {
        let labels = [
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("site", self.site.clone()),
            ("topology", self.topology.clone()),
        ];
        e.encode_descriptor("build", "This engine", None, MetricType::Info)?.encode_info(&labels)?;
        self.latencies.with(|t| {
            inputs(&mut e, t)?;
            intake(&mut e, t)?;
            dropped(&mut e, &self.ports)?;
            spans(&mut e, t)?;
            threads(&mut e, t)?;
            self.rules(&mut e, t)
        })
    }
}

fn inputs(e: &mut DescriptorEncoder<'_>, t: &Totals) -> fmt::Result {
    let mut budget = e.encode_descriptor("budget_seconds", "How long an event may take", None, MetricType::Gauge)?;
    budget.encode_gauge(&(t.budget().0 as f64 / 1e9))?;
    let mut inputs = e.encode_descriptor("inputs", "Inputs done with, by kind", None, MetricType::Counter)?;
    for kind in Kind::ALL {
        let label = [("kind", kind.as_str())];
        let n = t.span(kind, Segment::Whole).count();
        inputs.encode_family(&label)?.encode_counter::<[(&str, &str); 0], _, f64>(&n, None)?;
    }
    let mut missed =
        e.encode_descriptor("missed", "Inputs that took longer than the budget", None, MetricType::Counter)?;
    for kind in Kind::ALL {
        let label = [("kind", kind.as_str())];
        missed.encode_family(&label)?.encode_counter::<[(&str, &str); 0], _, f64>(&t.missed(kind), None)?;
    }
    Ok(())
}

/// The label of each class, in the order of its lane.
const CLASSES: [Kind; 4] = [Kind::Safety, Kind::Edge, Kind::State, Kind::Bulk];

/// What came in, and what became of it before it was stepped.
fn intake(e: &mut DescriptorEncoder<'_>, t: &Totals) -> fmt::Result {
    let tally = t.tally();
    let mut datagrams = e.encode_descriptor("datagrams", "Datagrams read", None, MetricType::Counter)?;
    datagrams.encode_counter::<[(&str, &str); 0], _, f64>(&tally.datagrams, None)?;
    let help = "Observations taken in, by class";
    let mut taken = e.encode_descriptor("observations_taken", help, None, MetricType::Counter)?;
    for (kind, n) in CLASSES.iter().zip(tally.taken) {
        let label = [("class", kind.as_str())];
        taken.encode_family(&label)?.encode_counter::<[(&str, &str); 0], _, f64>(&n, None)?;
    }
    let help = "Observations given up under overload: a newer one took their place, or there was no room";
    let mut shed = e.encode_descriptor("observations_shed", help, None, MetricType::Counter)?;
    for (why, n) in [("replaced", tally.replaced), ("full", tally.full)] {
        let label = [("why", why)];
        shed.encode_family(&label)?.encode_counter::<[(&str, &str); 0], _, f64>(&n, None)?;
    }
    let help = "What the edge refused or noticed, by reason";
    let mut noticed = e.encode_descriptor("edge_noticed", help, None, MetricType::Counter)?;
    for (reason, n) in tally.noticed() {
        let label = [("reason", reason.as_str())];
        noticed.encode_family(&label)?.encode_counter::<[(&str, &str); 0], _, f64>(&n, None)?;
    }
    Ok(())
}

/// What the kernel dropped because a socket's buffer was full: asked of the kernel now, by the thread that shows it.
fn dropped(e: &mut DescriptorEncoder<'_>, ports: &[u16]) -> fmt::Result {
    let help = "Datagrams dropped by the kernel, whose buffer was full, by port";
    let mut all = e.encode_descriptor("datagrams_dropped_by_kernel", help, None, MetricType::Counter)?;
    for &port in ports {
        let (label, n) = ([("port", port)], kernel_drops(port).unwrap_or(0));
        all.encode_family(&label)?.encode_counter::<[(&str, &str); 0], _, f64>(&n, None)?;
    }
    Ok(())
}

fn spans(e: &mut DescriptorEncoder<'_>, t: &Totals) -> fmt::Result {
    let help = "Parts of the way from the kernel's receive stamp to the transport; their percentiles do not add up";
    let mut all = e.encode_descriptor("latency_seconds", help, None, MetricType::Histogram)?;
    for kind in Kind::ALL {
        for segment in Segment::ALL {
            let span = t.span(kind, segment);
            if span.count() > 0 {
                let label = [("kind", kind.as_str()), ("segment", segment.as_str())];
                let (sum, buckets) = (sum_s(span), buckets(span));
                all.encode_family(&label)?.encode_histogram::<[(&str, &str); 0]>(sum, span.count(), &buckets, None)?;
            }
        }
    }
    let mut most = e.encode_descriptor("latency_max_seconds", "The longest, exactly", None, MetricType::Gauge)?;
    for kind in Kind::ALL {
        let label = [("kind", kind.as_str())];
        let s = t.span(kind, Segment::Whole).max_ns() as f64 / 1e9;
        most.encode_family(&label)?.encode_gauge(&s)?;
    }
    Ok(())
}

fn threads(e: &mut DescriptorEncoder<'_>, t: &Totals) -> fmt::Result {
    let mut turns =
        e.encode_descriptor("thread_turns", "Turns of a thread's loop, idle or not", None, MetricType::Counter)?;
    for thread in t.threads() {
        let label = [("thread", thread.name.as_str())];
        turns.encode_family(&label)?.encode_counter::<[(&str, &str); 0], _, f64>(&thread.turns, None)?;
    }
    let help = "Turns that took longer than an event may";
    let mut stalls = e.encode_descriptor("thread_stalls", help, None, MetricType::Counter)?;
    for thread in t.threads() {
        let label = [("thread", thread.name.as_str())];
        stalls.encode_family(&label)?.encode_counter::<[(&str, &str); 0], _, f64>(&thread.stalls, None)?;
    }
    let mut longest =
        e.encode_descriptor("thread_longest_turn_seconds", "The longest turn", None, MetricType::Gauge)?;
    for thread in t.threads() {
        let label = [("thread", thread.name.as_str())];
        longest.encode_family(&label)?.encode_gauge(&(thread.longest.0 as f64 / 1e9))?;
    }
    Ok(())
}

impl Shown {
    /// Rules that reacted; the others would be hundreds of zeros.
    fn rules(&self, e: &mut DescriptorEncoder<'_>, t: &Totals) -> fmt::Result {
        let names = self.names.lock().unwrap_or_else(std::sync::PoisonError::into_inner).rules.clone();
        let reacted = || t.rules().iter().zip(names.iter()).filter(|(r, _)| r.react.count() > 0);
        let mut all =
            e.encode_descriptor("rule_reactions", "Commands of a rule, handed over", None, MetricType::Counter)?;
        for (rule, name) in reacted() {
            let label = [("rule", name.as_str())];
            all.encode_family(&label)?.encode_counter::<[(&str, &str); 0], _, f64>(&rule.react.count(), None)?;
        }
        let help = "Commands of a rule that were beyond its deadline";
        let mut missed = e.encode_descriptor("rule_missed", help, None, MetricType::Counter)?;
        for (rule, name) in reacted() {
            let label = [("rule", name.as_str())];
            missed.encode_family(&label)?.encode_counter::<[(&str, &str); 0], _, f64>(&rule.missed, None)?;
        }
        let help = "From the kernel's receive stamp (or the due instant) to the transport, by rule";
        let mut spans = e.encode_descriptor("rule_latency_seconds", help, None, MetricType::Histogram)?;
        for (rule, name) in reacted() {
            let label = [("rule", name.as_str())];
            let (sum, buckets) = (sum_s(&rule.react), buckets(&rule.react));
            let count = rule.react.count();
            spans.encode_family(&label)?.encode_histogram::<[(&str, &str); 0]>(sum, count, &buckets, None)?;
        }
        Ok(())
    }
}

fn sum_s(span: &Span) -> f64 {
    span.histogram().mean() * span.count() as f64 / 1e9
}

/// How many lie in each bucket and in none before it; the last takes the rest.
fn buckets(span: &Span) -> Vec<(f64, u64)> {
    let mut before = 0;
    let mut out: Vec<(f64, u64)> = BUCKETS_S
        .iter()
        .map(|&end| {
            let up_to = span.histogram().count_between(0, (end * 1e9) as u64);
            let own = up_to - before;
            before = up_to;
            (end, own)
        })
        .collect();
    out.push((f64::MAX, span.count() - before));
    out
}
