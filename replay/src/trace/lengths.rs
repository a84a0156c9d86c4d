//! Records of a file through the `mcap` crate, after a look at the lengths inside them.
//!
//! That crate (0.26) makes room for what a text's length says before it looks whether there are so many bytes, and
//! panics at an attachment whose last bytes belong to its header: a few turned bits would ask for gigabytes. Here every
//! length inside a record must fit into it first.

use mcap::records::{MessageHeader, Record, op};

/// A part of a record's body.
#[derive(Clone, Copy)]
enum Part {
    /// So many bytes.
    Bytes(usize),
    /// A length and so many bytes: a text, or a map of numbers.
    Text,
    /// A length, and within it texts, one behind the other.
    Texts,
}

/// The layout of the kinds of record read here, as far as their last length, after the MCAP specification.
const fn layout(opcode: u8) -> &'static [Part] {
    use Part::{Bytes, Text, Texts};
    match opcode {
        op::SCHEMA => &[Bytes(2), Text, Text, Text],
        op::CHANNEL => &[Bytes(4), Text, Text, Texts],
        // Its own length and its checksum stand behind its name and media type; the length is looked at by the crate.
        op::ATTACHMENT => &[Bytes(16), Text, Text, Bytes(12)],
        op::METADATA => &[Text, Texts],
        op::METADATA_INDEX => &[Bytes(16), Text],
        _ => &[],
    }
}

/// What a record says; `None` where it says nothing that can be read.
pub(crate) fn parse(opcode: u8, body: &[u8]) -> Option<Record<'_>> {
    let mut rest = body;
    for part in layout(opcode) {
        rest = match *part {
            Part::Bytes(n) => rest.get(n..)?,
            Part::Text => text(rest)?.1,
            Part::Texts => {
                let (mut texts, behind) = text(rest)?;
                while !texts.is_empty() {
                    texts = text(texts)?.1;
                }
                behind
            }
        };
    }
    mcap::parse_record(opcode, body).ok()
}

/// Bytes of a message in front of its data.
const MESSAGE_HEAD_BYTES: usize = 22;

/// A message's header, and its data; `None` where that is not whole. Most of a file is messages: the crate takes longer to
/// read their headers than their chunk takes to be unpacked.
pub(super) fn message(body: &[u8]) -> Option<(MessageHeader, &[u8])> {
    let (head, data) = body.split_first_chunk::<MESSAGE_HEAD_BYTES>()?;
    let wide = |at: usize| Some(u64::from_le_bytes(*head[at..].first_chunk()?));
    let header = MessageHeader {
        channel_id: u16::from_le_bytes(*head.first_chunk()?),
        sequence: u32::from_le_bytes(*head[2..].first_chunk()?),
        log_time: wide(6)?,
        publish_time: wide(14)?,
    };
    Some((header, data))
}

/// What a length in front says, and what is behind it.
fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `len` in front of so many bytes.
    fn long(text: &[u8]) -> Vec<u8> {
        [&(text.len() as u32).to_le_bytes(), text].concat()
    }

    #[test]
    fn a_message_is_what_the_crate_reads() {
        let bytes: Vec<u8> = (1..30).collect();
        for len in 0..bytes.len() {
            let body = &bytes[..len];
            let same = match parse(op::MESSAGE, body) {
                Some(Record::Message { header, data }) => Some((header, data.into_owned())),
                _ => None,
            };
            assert_eq!(message(body).map(|(header, data)| (header, data.to_vec())), same, "{len}");
        }
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused_before_room_is_made_for_them() {
        let map = long(&[long(b"key"), long(b"value")].concat());
        let whole = [long(b"name"), map].concat();
        assert!(matches!(parse(op::METADATA, &whole), Some(Record::Metadata(m)) if m.metadata["key"] == "value"));
        // Any of the lengths, or the record itself, made too large or cut.
        for at in [3, 11, 15, 22] {
            let mut broken = whole.clone();
            broken[at] = 0x8e;
            assert!(parse(op::METADATA, &broken).is_none(), "{at}");
        }
        assert!((0..whole.len()).all(|cut| parse(op::METADATA, &whole[..cut]).is_none()));
        assert!(parse(op::ATTACHMENT, &[0; 20]).is_none());
    }
}
