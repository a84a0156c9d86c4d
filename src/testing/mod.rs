//! Tests of rules: scripts and cuts of traces against the rules that a site has.
//!
//! | file | what it holds |
//! |---|---|
//! | `script.rs` | a `test` block as facts and expectations |
//! | `world.rs` | the scripted building in fusion's place |
//! | `run.rs` | running one test and judging it |
//! | `report.rs` | the picture of a failure, coverage, JUnit XML |

pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod script;
mod world;
