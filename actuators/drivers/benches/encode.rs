//! How long a line takes: nanoseconds per command and per event, best and median of many batches, and what handing one
//! to the kernel adds. `cargo bench -p osmose-drivers`. No assertion: a figure belongs to the machine it was taken on.

#[path = "../tests/common/mod.rs"]
mod common;

use osmose_drivers::{lines, log, udp::UdpOut};
use std::hint::black_box;
use std::time::Instant;

const BATCH: u32 = 2_000;
const BATCHES: usize = 200;

fn measure(what: &str, mut f: impl FnMut()) {
    let mut ns: Vec<f64> = (0..BATCHES)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..BATCH {
                f();
            }
            start.elapsed().as_nanos() as f64 / f64::from(BATCH)
        })
        .collect();
    ns.sort_by(f64::total_cmp);
    println!("{what:<28} {:>7.0} ns best {:>7.0} ns median", ns[0], ns[BATCHES / 2]);
}

fn main() {
    let receiver = std::net::UdpSocket::bind("127.0.0.1:0").expect("a loopback socket");
    let site = common::site(receiver.local_addr().expect("its address"));
    let (rules, command, event) = (common::rules, common::command(), common::event());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("{BATCHES} batches of {BATCH}, one thread, {cores} cores seen");
    let mut out = Vec::with_capacity(4096);
    let mut bytes = |f: &dyn Fn(&mut Vec<u8>)| {
        out.clear();
        f(&mut out);
        black_box(&out);
    };
    measure("UDP command", || bytes(&|o| lines::encode_json(&site, &rules, black_box(&command), None, o)));
    measure("--commands line with cause", || {
        bytes(&|o| lines::encode_commands_line(&site, &rules, black_box(&command), None, o));
    });
    measure("--events line", || {
        bytes(&|o| lines::encode_event_line(&site, common::tag(), black_box(&event), None, o));
    });
    measure("log line", || bytes(&|o| log::encode_log_line(&site, &rules, black_box(&command), o)));
    let mut udp = UdpOut::new(&site).expect("sockets");
    measure("UDP command, sent", || {
        // A full receiver drops datagrams in the kernel; the sender is not told, which is what is measured here.
        let _ = udp.send(&site, &rules, black_box(&command));
    });
    println!("{:?}", udp.counts());
}
