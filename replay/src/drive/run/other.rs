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
        self.delays_until(tag.at)?;
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
        Ok(matches!(input, Input::Report(r) if what_if.replaces(r.actuator)))
    }

    /// Feeds what was delayed until now.
    pub(super) fn delays_until(&mut self, at: LogicalNs) -> Result<(), ReplayError> {
        while let Some((arrival, bytes)) = self.delays.due(at) {
            let mut scan = ScanBuf::default();
            if let Ok(input) = canon::decode_input(&bytes, &mut scan) {
                self.feed(arrival, &input)?;
            }
        }
        Ok(())
    }
}
