//! Drawings of a site on paper: its floor plan as SVG, with whatever a caller lays on it.
//!
//! Everything is drawn from the resolved site, in plain SVG without scripts, fonts or links: a drawing opens anywhere and
//! prints. Text from a site is escaped, never markup.
//!
//! | file | what it holds |
//! |---|---|
//! | `svg.rs` | elements as text, escaped |
//! | `plan.rs` | levels side by side in one scale, walls, doors, zones, sensors |

mod plan;
mod svg;

pub use plan::{Panel, Panels, Style};
pub use svg::{Svg, escape};
