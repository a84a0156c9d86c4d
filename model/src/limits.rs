//! A limit on everything: the engine allocates to these at start and never grows past them.
//!
//! Each limit is checked at the edge (a datagram, a file, a rule) and what is over it is refused and counted,
//! so that the stages behind may rely on it.

/// Most items (detections, points, bearings) in one scan.
pub const SCAN_ITEMS_MAX: usize = 4096;
/// Most bytes in one datagram, and so in one native frame or JSON body (the UDP payload limit over IPv4).
pub const DATAGRAM_BYTES_MAX: usize = 65_507;
/// Most bytes in the canonical form of one input: a full scan and its head.
pub const INPUT_BYTES_MAX: usize = 256 * 1024;
/// Most zones that one occupant can be inside of at once.
pub const ZONES_PER_OCCUPANT_MAX: usize = 16;
/// Most arguments of one command.
pub const ARGS_MAX: usize = 4;
/// Most bytes in a text argument.
pub const TEXT_BYTES_MAX: usize = 95;
/// Most bytes in a name (a device state, a command, a property, an argument).
pub const NAME_BYTES_MAX: usize = 31;
/// Most bytes in the id of a carried device or badge.
pub const CARRIED_BYTES_MAX: usize = 63;
/// Most condition values recorded with a command.
pub const CAUSE_CONDITIONS_MAX: usize = 8;
/// Most variables bound by one rule.
pub const BINDINGS_MAX: usize = 4;
/// Most sightings remembered of an occupant: the newest that moved it.
pub const SIGHTINGS_PER_OCCUPANT_MAX: usize = 4;
/// Most sightings recorded with a cause: those of its people.
pub const CAUSE_SIGHTINGS_MAX: usize = 8;
/// Most events that one step may produce; beyond it they are counted as shed.
pub const EVENTS_PER_STEP_MAX: usize = 8192;
/// Most commands that one step may produce; beyond it they are counted as shed.
pub const COMMANDS_PER_STEP_MAX: usize = 1024;
/// Most rounds of "a command changed a device, which woke a rule" inside one step.
pub const CASCADE_ROUNDS_MAX: usize = 8;
/// Most names of carried devices and badges remembered.
pub const CARRIED_NAMES_MAX: usize = 65_536;
/// Coordinates beyond this are a unit error, not a building (metres).
pub const COORDINATE_ABS_MAX_M: f64 = 1.0e6;
/// Default of `late_max_ms`: how much older than its tag an observation may be.
pub const LATE_MAX_MS: i64 = 500;
