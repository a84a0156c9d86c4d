//! Any text through a map: refused, or every claim of it made; and the walk takes what it takes twice alike.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osmose_model::device::{ClockKind, FieldPath, JsonMap, SensorKind, TimePath};
use osmose_sensors::json::Plan;
use osmose_sensors::json::scan::{Elements, Found, Kind, walk};

fuzz_target!(|text: &str| {
    let path = |p: &str| FieldPath { path: p.to_owned(), scale: 0.5, offset: 1.0 };
    let fields = [("device", "/id"), ("level", "/l"), ("seq", "/seq"), ("x_m", "/p/0"), ("y_m", "/p/1")];
    let fields: Vec<_> = fields.iter().map(|(f, p)| ((*f).to_owned(), path(p))).collect();
    let time = Some(TimePath { path: "/t".into(), unit_pow10: -3, clock: ClockKind::Device });
    for (kind, each) in [(SensorKind::Location, None), (SensorKind::Position, Some("/a".to_owned()))] {
        let plan = Plan::new(kind, &JsonMap { each, sensor: None, fields: fields.clone(), time: time.clone() });
        let (mut found, mut item, mut room) = (Found::default(), Found::default(), String::new());
        if walk(text, &plan.root, &mut found).is_err() {
            continue;
        }
        let _ = std::hint::black_box((plan.seq(plan.head, text, &found), plan.time_ns(plan.head, text, &found)));
        let Some(each) = &plan.each else {
            let _ = std::hint::black_box(plan.claim(text, &found, &mut room));
            continue;
        };
        let Some(array) = found.get(each.slot).filter(|v| v.kind == Kind::Array) else { continue };
        let mut elements = Elements::of(text, array);
        while elements.next(&each.pointers, &mut item).expect("a walked array is well formed") {
            let _ = std::hint::black_box(plan.claim(text, &item, &mut room));
        }
    }
});
