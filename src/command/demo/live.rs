//! The demo in real time.

use super::Demo;
use crate::outcome::{Ended, Failure};
use crate::site::Ready;

pub(super) fn run(_: Ready, _: &Demo) -> Ended {
    Err(Failure::usage("give --headless"))
}
