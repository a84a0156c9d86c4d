//! Polygons in metres as YAML, as home-positioning projects keep their plans (ESPresense's companion among them).
//!
//! ```yaml
//! floors:
//!   - id: ground
//!     name: Ground floor
//!     bounds: [[0, 0, 0], [12, 8, 2.7]]      # optional: two opposite corners, metres, the third is the height
//!     rooms:
//!       - id: kitchen                          # optional: else made of the name
//!         name: Kitchen
//!         category: kitchen                    # optional: `room`
//!         points: [[0, 0], [4, 0], [4, 3], [0, 3]]
//!     walls:                                   # optional, ours: lines
//!       - [[0, 0], [12, 0]]
//!     doors:                                   # optional, ours: a line, and what it joins where that is not plain
//!       - { points: [[4, 1], [4, 2]], joins: [kitchen, hall] }
//! ```

mod plan;
mod tree;

pub(crate) use plan::{Drawn, to_geojson};
