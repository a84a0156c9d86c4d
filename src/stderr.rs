//! Writing to stderr without depending on who reads it.
//!
//! `eprintln!` panics where the reading end is closed: an engine whose log went to `| tee` or to a logger that restarts
//! would stop at the next warning. What a building does must not depend on that, so lines that nobody reads are let go.

/// Writes a line to stderr; a line that cannot be written is let go.
macro_rules! say {
    ($($said:tt)*) => {{
        use std::io::Write as _;
        _ = writeln!(std::io::stderr(), $($said)*);
    }};
}
pub(crate) use say;
