//! Any bytes as a native frame: refused, or readable to the end, every observation of it. What the short way for fixes
//! takes, the general way takes too, with the same values.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osmose_sensors::native::{claim, for_each_item, kind_of};
use osmose_wire::frame::fixes::{Fix, Fixes};
use osmose_wire::frame::verify_frame;
use osmose_wire::frame_schema::Observation;
use std::cell::RefCell;

thread_local! {
    static ROOM: RefCell<Fixes> = RefCell::new(Fixes::default());
}

/// A fix as the general way reads it; as text, since not-a-number is not equal to itself.
fn fix_of(o: Observation<'_>) -> Option<String> {
    let l = o.body_as_location()?;
    let (x_m, y_m, z_m, sigma_m) = (l.x_m(), l.y_m(), l.z_m(), l.sigma_m());
    let (sensor, seq, time_ns) = (o.sensor(), o.seq(), o.time_ns());
    let fix = Fix { sensor, seq, time_ns, device: l.device(), level: l.level(), x_m, y_m, z_m, sigma_m };
    Some(format!("{fix:?}"))
}

fuzz_target!(|bytes: &[u8]| {
    let general = verify_frame(bytes);
    ROOM.with_borrow_mut(|room| {
        let Some(short) = room.read(bytes) else { return };
        let frame = general.as_ref().expect("what the short way takes is a frame");
        let head = (frame.sensor(), frame.seq(), frame.time_ns(), frame.clock());
        assert_eq!((short.sensor, short.seq, short.time_ns, short.clock), head);
        assert!(short.fixes().map(|f| Some(format!("{f:?}"))).eq(frame.observations().iter().map(fix_of)));
    });
    let Ok(frame) = general else { return };
    let mut items = 0usize;
    for observation in frame.observations() {
        std::hint::black_box((kind_of(observation.body_type()), claim(&observation)));
        for_each_item(&observation, &mut |_| items += 1);
    }
    std::hint::black_box(items);
});
