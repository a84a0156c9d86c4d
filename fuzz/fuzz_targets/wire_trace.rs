//! Any bytes as records of a trace: refused, or an input that is encoded to one that decodes to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osmose_model::canon;
use osmose_model::observation::ScanBuf;
use osmose_wire::trace::{TraceBuilder, decode_command, decode_event, decode_input, encode_input};

fuzz_target!(|bytes: &[u8]| {
    let _ = (decode_command(bytes), decode_event(bytes));
    let mut scan = ScanBuf::default();
    let Ok((tag, input)) = decode_input(bytes, &mut scan) else { return };
    let mut builder = TraceBuilder::new();
    let again = encode_input(&mut builder, tag, &input);
    let mut scan = ScanBuf::default();
    let (tag_again, input_again) = decode_input(again, &mut scan).expect("what was encoded decodes");
    assert_eq!(tag, tag_again);
    let (mut a, mut b) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let (n, m) = (canon::encode_input(&input, &mut a), canon::encode_input(&input_again, &mut b));
    assert_eq!(n, m);
    assert_eq!(a, b);
});
