//! How Osmose is measured: `osmose bench`, whose figures performance testers come for.
//!
//! | file | what it holds |
//! |---|---|
//! | [`dist`] | times, and which of their percentiles may be told |
//! | [`interval`] | how sure a ratio is |
//! | [`hiccup`] | what the machine takes away by itself; misses laid beside it |
//! | [`verdict`] | met, missed, or not provable here |
//! | [`account`] | sent = received + counted drops, or the run is void |
//! | [`host`] | the machine that figures belong to |
//! | [`job`], [`sites`] | the peers' job, and sites to measure with |
//! | [`step`] | ns per observation |
//! | [`latency`] | due to commanded, two processes; [`floor`], [`peer`] the processes, [`client`] the open loop |
//! | [`highest`], [`batch`] | the highest rate without loss, by a client that sends many datagrams a call |
//! | [`leaves`] | so many leaves under load, every one accounted for |
//! | [`replay`], [`corpus`] | observations a second and times real time; over a folder of traces made from seeds |
//! | [`compare`] | one build against another |
//! | [`report`] | table, JSON, `.hgrm`, interval log, page |
//!
//! Raw figures come first and are never corrected. What the machine did beside is measured at the same time and told
//! beside them; it is for the reader to lay the one beside the other, and for [`verdict`] to say when nobody can.
#![forbid(unsafe_code)]

pub mod account;
pub mod batch;
pub mod client;
pub mod compare;
pub mod corpus;
pub mod dist;
pub mod floor;
pub mod hiccup;
pub mod highest;
pub mod host;
pub mod interval;
pub mod job;
pub mod latency;
pub mod leaves;
pub mod peer;
pub mod replay;
pub mod report;
pub mod sites;
pub mod step;
pub mod verdict;
