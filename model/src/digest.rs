//! Running digests over canonical bytes: two runs agree exactly when their digests do.
//!
//! A chain of one-shot XXH3 hashes, each seeded by the one before: 20-30 ns a link for a short input, no state but
//! one word, and the order of the links matters. Not a signature: it finds accidents, not forgers.

use serde::{Deserialize, Serialize};

/// A running digest.
///
/// ```
/// use osmose_model::digest::Digest;
/// let (mut a, mut b) = (Digest::default(), Digest::default());
/// a.absorb(b"one"); a.absorb(b"two");
/// b.absorb(b"two"); b.absorb(b"one");
/// assert_ne!(a, b);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Digest(pub u64);

impl Digest {
    /// Takes `bytes` in as the next link.
    pub fn absorb(&mut self, bytes: &[u8]) {
        self.0 = xxhash_rust::xxh3::xxh3_64_with_seed(bytes, self.0);
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
