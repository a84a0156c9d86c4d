//! FNV-1a of 64 bits (Fowler, Noll, Vo): the same number on every machine and in every build, as shapes of rules need
//! that are kept in keyframes. It is no defence against who means harm.

/// A hash under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fnv(u64);

impl Fnv {
    pub(crate) const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// One part, and a byte behind it that no UTF-8 text holds: what moves from one part into the next shows.
    pub(crate) fn absorb(&mut self, part: &[u8]) {
        for byte in part.iter().chain(&[0xff]) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    pub(crate) const fn number(self) -> u64 {
        self.0
    }
}
