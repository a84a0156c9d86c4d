//! Keeps docs/wire.md true: its worked example is regenerated here, byte for byte, and its tables name what the
//! schemas name.

use osmose_wire::frame::{Body, Clock, Detection, Head, Sample, encode_frame, verify_frame};

const DOC: &str = include_str!("../../../docs/wire.md");

/// The frame of the worked example.
fn example() -> Vec<u8> {
    let seen = [Detection { x_m: 12.5, y_m: 3.25, ..Detection::default() }];
    let head = Head { sensor: "ceiling-1", seq: Some(42), time: Some((1_500_000_000, Clock::Device)) };
    encode_frame(&head, &[Sample::of(Body::Position(&seen))])
}

/// Rows of sixteen bytes: offset, hex, and the characters that are letters.
fn dump(bytes: &[u8]) -> String {
    let row = |(i, row): (usize, &[u8])| {
        let hex: String = row.iter().map(|b| format!("{b:02x} ")).collect();
        let text: String = row.iter().map(|&b| if b.is_ascii_graphic() { char::from(b) } else { '.' }).collect();
        format!("    {:04x}  {hex:<48} {text}\n", i * 16)
    };
    bytes.chunks(16).enumerate().map(row).collect()
}

#[test]
fn the_worked_example_is_what_the_builder_writes() {
    let bytes = example();
    let wanted = dump(&bytes);
    assert!(DOC.contains(&wanted), "docs/wire.md does not hold the example ({} bytes):\n{wanted}", bytes.len());
    let frame = verify_frame(&bytes).unwrap();
    assert_eq!((frame.sensor(), frame.seq(), frame.time_ns()), ("ceiling-1", Some(42), Some(1_500_000_000)));
}

/// The bytes that the walk through the example names, as `0xOFFSET` with what stands there.
#[test]
fn every_offset_of_the_walk_holds_what_it_says() {
    let bytes = example();
    let mut checked = 0;
    for line in DOC.lines().filter(|l| l.starts_with("| `0x")) {
        let mut cells = line.split('|').map(|c| c.trim().trim_matches('`'));
        let (at, hex) = (cells.nth(1).unwrap_or_default(), cells.next().unwrap_or_default());
        let at = usize::from_str_radix(at.trim_start_matches("0x"), 16).unwrap();
        for (i, byte) in hex.split(' ').enumerate() {
            let byte = u8::from_str_radix(byte, 16).unwrap_or_else(|e| panic!("{line}: {e}"));
            assert_eq!(bytes[at + i], byte, "{line}");
        }
        checked += 1;
    }
    assert!(checked >= 8, "only {checked} lines of the walk were found");
}

/// Every table of the schemas is explained, and every field of the frame.
#[test]
fn the_tables_of_the_schemas_are_all_there() {
    let mut checked = 0;
    let schemas = [include_str!("../schemas/frame.fbs"), include_str!("../schemas/trace.fbs")];
    for schema in schemas {
        let mut table = "";
        for line in schema.lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            if let ["table" | "struct" | "union" | "enum", name, ..] = words[..] {
                table = name;
                assert!(DOC.contains(&format!("`{name}`")), "docs/wire.md does not explain `{name}`");
                checked += 1;
            }
            let field = line.strip_prefix("  ").and_then(|l| l.split_once(':')).map(|(field, _)| field);
            if let Some(field) = field.filter(|f| !f.contains('/')) {
                assert!(DOC.contains(&format!("`{field}`")), "docs/wire.md does not explain `{field}` of `{table}`");
                checked += 1;
            }
        }
    }
    assert!(checked > 100, "only {checked} names were found in the schemas");
}
