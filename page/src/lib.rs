//! The live page: what a running engine, or a replay, looks like in a browser on the same machine.
//!
//! | file | what it holds |
//! |---|---|
//! | [`server`] | loopback sockets, limits, who may ask what; pages in, pages out |
//! | `assets.rs` | the page's own files, embedded |
//! | [`outlet`] | what waits for one page: the newest picture and a bounded queue; a slow page misses, nobody waits |
//! | [`request`] | the few things that a page may say |
//! | [`live`] | a running engine looked on: a tap for what happens, pictures for how things stand |
//! | [`replay`] | a recording played: its `session` seeks, steps, plays two runs side by side; its `past` reads what was decided, its `passes` make the timeline, verify and compare |
//! | [`so_far`] | what a running engine has recorded so far, as something to be played |
//! | [`scratch`] | a folder for what goes with the process |
//! | [`what_if`] | a recording run again with something otherwise, beside the first |
//! | [`note`] | what happened, from a tap or from a replay |
//! | [`chronicle`] | what happened lately, bounded: events as messages, commands with their causes |
//! | [`latency`] | how long commands took in the last minute, against their budgets |
//! | [`hello`], [`snap`], [`tell`], [`story`], [`script`] | messages: the site once; who is where; events in words; why; a moment as a test |
//!
//! Nothing of the page can hold up the engine: the stepping thread hands over a picture where one is taken and never
//! waits; the journal thread puts notes into a bounded channel and counts what does not fit.
#![forbid(unsafe_code)]

mod assets;
pub mod chronicle;
pub mod hello;
pub mod latency;
pub mod live;
pub mod note;
pub mod outlet;
mod passes;
mod past;
pub mod replay;
pub mod request;
pub mod scratch;
pub mod script;
pub mod server;
mod session;
pub mod snap;
pub mod so_far;
pub mod story;
pub mod tell;
pub mod what_if;
