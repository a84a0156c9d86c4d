//! What is stepped otherwise than recorded, where the question is what if.

use super::{ReplayError, Run};
use crate::drive::workshop::Workshop;
use osmose_model::canon;
use osmose_model::input::{Input, Tag};
use osmose_model::observation::ScanBuf;
use osmose_model::time::{ArrivalNs, LogicalNs};

impl<W: Workshop> Run<W> {
    /// Whether an input is not to be stepped here, because the question is what if: a tick of other rules, a sensor
    /// that is removed, a report of a device that would have been told something else.
    pub(super) fn is_other(&mut self, tag: Tag, input: &Input<'_>) -> Result<bool, ReplayError> {
        if !self.other_ticks {
            return Ok(false);
        }
        self.catch_up(tag.at)?;
        if matches!(input, Input::Tick) {
            return Ok(true);
        }
        if let Some(o) = input.observation() {
            if self.options.without.contains(&o.sensor) {
                return Ok(true);
            }
            if self.delays.keep(tag.at, o.sensor, input) {
                return Ok(true);
            }
        }
        if self.what_if.is_some() {
            // What was due before this input is decided before it, on both sides.
            let (driver, mut steps) = self.steps();
            driver.run_until(ArrivalNs(tag.at.0), &mut steps);
            steps.result?;
        }
        let Some(what_if) = &mut self.what_if else { return Ok(false) };
        what_if.settle(tag.at);
        // A device that parted just now may have an answer of its model due already.
        self.catch_up(tag.at)?;
        let Some(what_if) = &mut self.what_if else { return Ok(false) };
        Ok(matches!(input, Input::Report(r) if what_if.replaces(r.actuator, tag.at)))
    }

    /// Feeds what was delayed, and what models report, until now; what is due on the way is decided on the way, since it
    /// may give a model something to report.
    pub(super) fn catch_up(&mut self, at: LogicalNs) -> Result<(), ReplayError> {
        loop {
            let (delayed, reported) = (self.delays.due(), self.what_if.as_ref().and_then(|w| w.due()));
            let due = [delayed, reported].into_iter().flatten().min().filter(|due| *due <= at);
            let woken = self.driver.machine().next_wakeup().filter(|w| *w <= at && due.is_none_or(|due| *w < due));
            if let (Some(woken), true) = (woken, self.what_if.is_some()) {
                let before = self.driver.machine().last();
                let (driver, mut steps) = self.steps();
                driver.run_until(ArrivalNs(woken.0), &mut steps);
                steps.result?;
                if self.driver.machine().last() != before {
                    continue;
                }
            }
            let Some(due) = due else { return Ok(()) };
            if reported == Some(due) {
                let next = self.what_if.as_mut().and_then(super::WhatIf::next_report);
                if let Some((arrival, report)) = next {
                    self.feed(arrival, &Input::Report(report))?;
                }
            } else if let Some((arrival, bytes)) = self.delays.next_input() {
                let mut scan = ScanBuf::default();
                if let Ok(input) = canon::decode_input(&bytes, &mut scan) {
                    self.feed(arrival, &input)?;
                }
            }
        }
    }
}
