//! Any bytes as a native frame: refused, or readable to the end, every observation of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osmose_sensors::native::{claim, for_each_item, kind_of};
use osmose_wire::frame::verify_frame;

fuzz_target!(|bytes: &[u8]| {
    let Ok(frame) = verify_frame(bytes) else { return };
    let mut items = 0usize;
    for observation in frame.observations() {
        std::hint::black_box((kind_of(observation.body_type()), claim(&observation)));
        for_each_item(&observation, &mut |_| items += 1);
    }
    std::hint::black_box(items);
});
