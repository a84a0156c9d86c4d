//! Signed datagrams: a short MAC, a counter and a replay window, checked before anything of a body is looked at.
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 4 | `OSMK` |
//! | 4 | 1 | version: 1 |
//! | 5 | 1 | n, the length of the device's id in bytes |
//! | 6 | n | the id of the sensor or actuator in devices.toml that signs |
//! | 6 + n | 8 | the counter, little-endian; each datagram a higher one |
//! | 14 + n | m | the body: what would have been the whole datagram |
//! | 14 + n + m | 8 | SipHash-2-4 of all before it under the device's key, little-endian |
//!
//! Why SipHash-2-4 (Aumasson, Bernstein 2012): it was made to authenticate short messages under a 128-bit key, costs some
//! tens of nanoseconds for a body of this size, and is forty lines of C without tables on a microcontroller. Its 64 bits
//! are enough where every guess costs a datagram: at 100,000 a second half of them take three million years. It does not
//! encrypt: who may listen on the wire reads what is said.
//!
//! The window (as of RFC 4303, section 3.4.3) takes each counter once, and none that is 64 or more behind the highest.

use super::sender_is_known;
use crate::reason::Reason;
use osmose_model::site::Site;
use siphasher::sip::SipHasher24;
use std::collections::BTreeMap;
use std::hash::Hasher;
use std::net::SocketAddr;

/// How a signed datagram begins.
pub const MAGIC: &[u8; 4] = b"OSMK";
/// The version of the envelope.
pub const VERSION: u8 = 1;
/// Bytes of a MAC.
pub const MAC_BYTES: usize = 8;
/// Bytes of a key.
pub const KEY_BYTES: usize = 16;

/// A device's key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key([u8; KEY_BYTES]);

impl std::fmt::Debug for Key {
    /// Never the key itself: what is debugged ends in logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

/// A text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key is 32 hexadecimal digits (16 bytes)")]
pub struct NoKey;

impl std::str::FromStr for Key {
    type Err = NoKey;

    /// Reads 32 hexadecimal digits, white space around them left aside.
    fn from_str(text: &str) -> Result<Self, NoKey> {
        let digits = text.trim().as_bytes();
        let mut key = [0; KEY_BYTES];
        if digits.len() != 2 * KEY_BYTES {
            return Err(NoKey);
        }
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |d: u8| char::from(d).to_digit(16).ok_or(NoKey);
            *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
        }
        Ok(Self(key))
    }
}

impl Key {
    /// A key of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// The MAC of a message.
    #[must_use]
    pub fn mac(&self, message: &[u8]) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(message);
        hasher.finish()
    }
}

/// The keys of devices, by their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys(BTreeMap<String, Key>);

impl Keys {
    /// Adds a device's; the one before it, where there was one, is forgotten.
    pub fn insert(&mut self, device: &str, key: Key) {
        self.0.insert(device.to_owned(), key);
    }
}

/// Appends the envelope of `body` to `out`: what a device sends that signs.
///
/// # Panics
/// Where `device` has more than 255 bytes.
///
/// ```
/// use osmose_sensors::edge::keys::{seal, Key};
/// let key: Key = "000102030405060708090a0b0c0d0e0f".parse()?;
/// let mut datagram = vec![];
/// seal("door-1", &key, 7, br#"{"open":true}"#, &mut datagram);
/// assert_eq!(&datagram[..12], b"OSMK\x01\x06door-1");
/// # Ok::<(), osmose_sensors::edge::keys::NoKey>(())
/// ```
pub fn seal(device: &str, key: &Key, counter: u64, body: &[u8], out: &mut Vec<u8>) {
    let from = out.len();
    out.extend_from_slice(MAGIC);
    out.push(VERSION);
    out.push(u8::try_from(device.len()).expect("an id has at most 255 bytes"));
    out.extend_from_slice(device.as_bytes());
    out.extend_from_slice(&counter.to_le_bytes());
    out.extend_from_slice(body);
    let mac = key.mac(&out[from..]);
    out.extend_from_slice(&mac.to_le_bytes());
}

/// Which counters came, of the highest 64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Window {
    highest: u64,
    /// Bit i: highest - i came.
    came: u64,
}

impl Window {
    /// Takes a counter once.
    fn take(&mut self, counter: u64) -> bool {
        if self.came == 0 || counter > self.highest {
            let ahead = if self.came == 0 { u64::from(u64::BITS) } else { counter - self.highest };
            self.came = if ahead < u64::from(u64::BITS) { self.came << ahead } else { 0 } | 1;
            self.highest = counter;
            return true;
        }
        let behind = self.highest - counter;
        if behind >= u64::from(u64::BITS) || self.came >> behind & 1 == 1 {
            return false;
        }
        self.came |= 1 << behind;
        true
    }
}

/// One device that signs.
#[derive(Clone, Debug)]
struct Signer {
    device: Box<str>,
    /// `None` where devices.toml names a key that could not be had: nothing of it is taken.
    key: Option<Key>,
    window: Window,
}

/// Who signed: index into the signers of a [`Keyring`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SignedBy(u16);

/// The devices of a site that must sign.
#[derive(Clone, Debug, Default)]
pub(super) struct Keyring {
    /// By id, ascending.
    signers: Vec<Signer>,
}

impl Keyring {
    /// The devices whose `connect` names a key file, with the keys that were found there.
    pub(super) fn new(site: &Site, keys: &Keys) -> Self {
        let sensors = site.sensors.iter().filter(|s| s.connect.as_ref().is_some_and(|c| c.key_file.is_some()));
        let actuators = site.actuators.iter().filter(|a| a.connect.key_file.is_some());
        let mut ids: Vec<&str> = sensors.map(|s| s.name.as_str()).chain(actuators.map(|a| a.name.as_str())).collect();
        ids.sort_unstable();
        ids.dedup();
        let signer = |id: &str| Signer { device: id.into(), key: keys.0.get(id).copied(), window: Window::default() };
        Self { signers: ids.into_iter().map(signer).collect() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.signers.is_empty()
    }

    fn find(&self, device: &[u8]) -> Option<usize> {
        self.signers.binary_search_by(|s| s.device.as_bytes().cmp(device)).ok()
    }

    /// Whether a device must sign.
    pub(super) fn wants(&self, device: &str) -> bool {
        self.find(device.as_bytes()).is_some()
    }

    /// Whether what `by` signed may speak for a device: it is the same one, or both have one key (a gateway's sensors).
    pub(super) fn speaks_for(&self, by: SignedBy, device: &str) -> bool {
        let Some(of) = self.find(device.as_bytes()) else { return true };
        let by = usize::from(by.0);
        by == of || self.signers[by].key.is_some() && self.signers[by].key == self.signers[of].key
    }

    /// Whether a datagram that came from `from` may be of a device that must sign (`signs`, by its id) or need not, and
    /// whose sender devices.toml may declare. Who proves who it is may come from anywhere that is not declared otherwise.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn admits(
        &self,
        signed: Option<SignedBy>,
        signs: Option<&str>,
        declared: Option<SocketAddr>,
        from: SocketAddr,
    ) -> Result<(), Reason> {
        match (signs, signed) {
            (Some(id), Some(by)) if self.speaks_for(by, id) => {
                let fits = declared.is_none() || sender_is_known(declared, from);
                fits.then_some(()).ok_or(Reason::WrongSender)
            }
            (Some(_), _) => Err(Reason::NotSigned),
            (None, _) => sender_is_known(declared, from).then_some(()).ok_or(Reason::WrongSender),
        }
    }

    /// Opens an envelope: who signed, and the body.
    ///
    /// # Errors
    /// [`Reason::BadSignature`] or [`Reason::Replayed`].
    pub(super) fn open<'a>(&mut self, datagram: &'a [u8]) -> Result<(SignedBy, &'a [u8]), Reason> {
        let bad = Reason::BadSignature;
        let (message, mac) = datagram.split_last_chunk::<MAC_BYTES>().ok_or(bad)?;
        let rest = message.strip_prefix(MAGIC).and_then(|r| r.strip_prefix(&[VERSION])).ok_or(bad)?;
        let (&n, rest) = rest.split_first().ok_or(bad)?;
        let (device, rest) = rest.split_at_checked(n.into()).ok_or(bad)?;
        let (counter, body) = rest.split_first_chunk::<8>().ok_or(bad)?;
        let by = self.find(device).ok_or(bad)?;
        let signer = &mut self.signers[by];
        // One comparison of two words: it takes as long wherever they differ.
        if signer.key.ok_or(bad)?.mac(message) != u64::from_le_bytes(*mac) {
            return Err(bad);
        }
        if !signer.window.take(u64::from_le_bytes(*counter)) {
            return Err(Reason::Replayed);
        }
        Ok((SignedBy(by as u16), body))
    }
}

/// Whether a datagram says that it is signed.
pub(super) fn is_signed(datagram: &[u8]) -> bool {
    datagram.starts_with(MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn ring(keys: &[(&str, u8)]) -> Keyring {
        let signer = |&(id, k): &(&str, u8)| Signer {
            device: id.into(),
            key: Some(Key::new([k; KEY_BYTES])),
            window: Window::default(),
        };
        Keyring { signers: keys.iter().map(signer).collect() }
    }

    fn sealed(device: &str, key: u8, counter: u64, body: &[u8]) -> Vec<u8> {
        let mut out = vec![];
        seal(device, &Key::new([key; KEY_BYTES]), counter, body, &mut out);
        out
    }

    /// The test vector of the paper's appendix A: key 00..0f, message 00..0e.
    #[test]
    fn the_mac_is_siphash_2_4() {
        let key = Key::new(std::array::from_fn(|i| i as u8));
        let message: Vec<u8> = (0..15).collect();
        assert_eq!(key.mac(&message), 0xa129_ca61_49be_45e5);
    }

    #[test]
    fn what_was_sealed_is_opened_once() {
        let mut ring = ring(&[("a", 1), ("b", 2)]);
        let datagram = sealed("b", 2, 9, b"body");
        assert_eq!(ring.open(&datagram), Ok((SignedBy(1), &b"body"[..])));
        assert_eq!(ring.open(&datagram), Err(Reason::Replayed));
        assert_eq!(ring.open(&sealed("b", 1, 10, b"body")), Err(Reason::BadSignature), "another's key");
        assert_eq!(ring.open(&sealed("c", 2, 10, b"body")), Err(Reason::BadSignature), "nobody knows c");
        assert_eq!(ring.open(&sealed("b", 2, 8, b"")), Ok((SignedBy(1), &b""[..])), "overtaken on the way");
    }

    #[test]
    fn one_key_for_a_gateways_sensors_lets_one_speak_for_the_other() {
        let ring = ring(&[("a", 1), ("b", 2), ("c", 1)]);
        assert!(ring.speaks_for(SignedBy(0), "a") && ring.speaks_for(SignedBy(0), "c"));
        assert!(!ring.speaks_for(SignedBy(0), "b"));
        assert!(ring.speaks_for(SignedBy(0), "who needs no key"));
    }

    #[test]
    fn keys_are_hexadecimal_and_never_shown() {
        let key: Key = " 000102030405060708090a0b0c0d0e0F\n".parse().expect("a key");
        assert_eq!(key, Key::new(std::array::from_fn(|i| i as u8)));
        assert_eq!(format!("{key:?}"), "Key(..)");
        for bad in ["", "00", "zz0102030405060708090a0b0c0d0e0f", "000102030405060708090a0b0c0d0e0f00"] {
            assert_eq!(bad.parse::<Key>(), Err(NoKey), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_flipped_bit_is_never_taken(counter in any::<u64>(), body in proptest::collection::vec(any::<u8>(), 0..60), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut datagram = sealed("a", 1, counter, &body);
            let at = at.index(datagram.len());
            datagram[at] ^= 1 << bit;
            prop_assert_eq!(ring(&[("a", 1)]).open(&datagram), Err(Reason::BadSignature));
        }

        #[test]
        fn any_bytes_are_opened_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), magic in any::<bool>()) {
            let bytes: Vec<u8> = if magic { MAGIC.iter().chain(&[VERSION]).copied().chain(bytes).collect() } else { bytes };
            prop_assert_eq!(ring(&[("a", 1)]).open(&bytes), Err(Reason::BadSignature), "64 bits of MAC");
        }

        /// Against a set of all that came.
        #[test]
        fn the_window_takes_each_counter_once(counters in proptest::collection::vec(0u64..200, 1..200)) {
            let (mut window, mut came) = (Window::default(), BTreeSet::new());
            for c in counters {
                let highest = came.last().copied();
                let fits = highest.is_none_or(|h| c + 64 > h) && !came.contains(&c);
                prop_assert_eq!(window.take(c), fits, "{} after {:?}", c, highest);
                if fits {
                    came.insert(c);
                }
            }
        }
    }
}
