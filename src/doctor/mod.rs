//! What costs latency on this machine, for this site, and how to mend it (`osmose doctor`).
//!
//! | file | what it holds |
//! |---|---|
//! | [`facts`] | what the system says, read from `/proc`, `/sys` and the site's own folders |
//! | [`findings`] | what each of that means for latency, and the way to mend it |

pub(crate) mod facts;
pub(crate) mod findings;
