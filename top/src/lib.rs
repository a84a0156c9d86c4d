//! A running engine at a glance, in a terminal: who is where, what rooms and devices are like, which rules fire, what is
//! commanded and why, how long it takes against its budget, which sensors are ill, what was dropped.
//!
//! It is a client of the page's server (`/ws` over loopback) and nothing else: the engine cannot tell it from one more
//! page, and a slow terminal is dropped like a slow browser.
//!
//! | file | what it does |
//! |---|---|
//! | `feed` | the connection: messages as they come, and coming back after it was lost |
//! | `state` | what the messages say, kept within limits |
//! | `keys` | what a key does |
//! | `screen` | the state on any size of screen, one file for each sort of panel |
//! | `run` | the terminal, put back however it ends |
#![forbid(unsafe_code)]

mod feed;
mod keys;
mod run;
mod screen;
mod state;

pub use feed::{AddressError, url};
pub use run::{RunError, once, run};
