//! Models of what passes between threads, and between a killed engine and its successor, explored by `loom`: every order in
//! which stores may become visible, every place where a thread may be held up.
//!
//! The project writes no atomics of its own (`tests/floors.rs` keeps it so): rings are `rtrb`'s, which has its own models.
//! What is ours is how they are used: the journal's publish and read, the wake-up of a thread that parks, and the swap of
//! intervals.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use osmose_drivers::udp::{Leaving, Of};
use osmose_model::command::CommandId;
use osmose_model::ids::{ActuatorId, Seq};
use osmose_model::input::Tag;
use osmose_model::time::LogicalNs;
use osmose_runtime::journal::handed::{HandedOver, Left};
use osmose_runtime::journal::{Offset, Ring, scan};
use std::sync::atomic::AtomicUsize as Count;

/// Explores a model and says how often it ran.
fn explore(name: &str, preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let ran = std::sync::Arc::new(Count::new(0));
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    let counted = ran.clone();
    builder.check(move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        model();
    });
    let ran = ran.load(std::sync::atomic::Ordering::Relaxed);
    println!("loom model `{name}`: {ran} executions explored");
    assert!(ran > 1, "a model of one execution shows nothing");
}

/// Bytes of the small ring: three records of one word, so that the second lap begins with the fourth.
const RING_BYTES: usize = 3 * 40 + 8;

fn tag(i: u64) -> Tag {
    Tag { at: LogicalNs((i as i64 + 1) * 10), seq: Seq(i + 1) }
}

fn payload(i: u64) -> [u8; 8] {
    (0x0101_0101_0101_0101 * (i + 1)).to_le_bytes()
}

/// The ring's bytes before and after record `i` was appended to what holds the records before it.
fn around(i: u64) -> (Vec<u8>, Vec<u8>, Offset) {
    let mut ring = Ring::new(vec![0u8; RING_BYTES], Offset(0));
    for k in 0..i {
        ring.append(tag(k), &payload(k)).expect("room");
        let head = ring.head();
        ring.release_before(head);
    }
    let (before, at) = (ring.bytes().to_vec(), ring.head());
    ring.append(tag(i), &payload(i)).expect("room");
    (before, ring.bytes().to_vec(), at)
}

fn words(bytes: &[u8]) -> Vec<u64> {
    bytes.chunks_exact(8).map(|w| u64::from_le_bytes(w.try_into().expect("eight bytes"))).collect()
}

/// The writer is killed anywhere while it appends, its stores having become visible in any order: whoever scans finds the
/// record whole or not at all, in a fresh place as in one that holds a record of the lap before.
#[test]
fn a_record_of_the_journal_is_read_whole_or_not_at_all() {
    for i in [0, 1, 4] {
        explore(&format!("journal, record {i}"), 2, move || {
            let (before, after, at) = around(i);
            let (before, after) = (words(&before), words(&after));
            let memory: Arc<Vec<AtomicU64>> = Arc::new(before.iter().map(|w| AtomicU64::new(*w)).collect());
            let changed: Vec<usize> = (0..before.len()).filter(|&k| before[k] != after[k]).collect();
            assert!(changed.len() >= 4, "head and payload: {changed:?}");
            let writer = {
                let (memory, changed, after) = (memory.clone(), changed.clone(), after.clone());
                loom::thread::spawn(move || {
                    for k in changed {
                        memory[k].store(after[k], Ordering::Relaxed);
                    }
                })
            };
            let mut seen = before;
            for &k in &changed {
                seen[k] = memory[k].load(Ordering::Relaxed);
            }
            let bytes: Vec<u8> = seen.iter().flat_map(|w| w.to_le_bytes()).collect();
            let found: Vec<_> = scan(&bytes, at).map(|(_, t, p)| (t, p.to_vec())).collect();
            assert!(found.is_empty() || found == [(tag(i), payload(i).to_vec())], "{found:?}");
            writer.join().expect("it ends");
        });
    }
}

/// The sender is killed anywhere while it hands commands over: whoever reads the marks takes none for owed that went, and
/// none for gone that did not. (The call that hands a command over is a store here, behind the one mark and before the other.)
#[test]
fn a_mark_tells_of_no_command_that_it_left_or_is_owed_where_that_is_not_so() {
    let of = |n: u32| Of { device: ActuatorId(0), id: CommandId { seq: Seq(7), n } };
    let fresh = || {
        let mut marks = HandedOver::new(vec![0; HandedOver::<Vec<u8>>::len_for(1) as usize]);
        marks.begin();
        marks
    };
    // The device's two words before and behind each step of handing two commands over, as the marks themselves write them.
    let words_of = |marks: &HandedOver<Vec<u8>>| words(marks.bytes())[2..].to_vec();
    let mut marks = fresh();
    let mut steps = vec![];
    for n in 0..2 {
        marks.begins(of(n));
        let begun = words_of(&marks)[0];
        Leaving::left(&mut marks, of(n));
        steps.push((begun, words_of(&marks)[1]));
    }
    explore("marks of what left", 3, move || {
        let [begun, went, left] = std::array::from_fn(|_| Arc::new(AtomicU64::new(0)));
        let sender = {
            let (begun, went, left, steps) = (begun.clone(), went.clone(), left.clone(), steps.clone());
            loom::thread::spawn(move || {
                for (n, (begins, leaves)) in (1..).zip(steps) {
                    begun.store(begins, Ordering::Release);
                    went.store(n, Ordering::Release);
                    left.store(leaves, Ordering::Release);
                }
            })
        };
        // What is read later is at least as new: each check below holds for the moment of the kill, too.
        let (left, went) = (left.load(Ordering::Acquire), went.load(Ordering::Acquire));
        let begun = begun.load(Ordering::Acquire);
        let mut bytes = fresh().bytes().to_vec();
        bytes[16..24].copy_from_slice(&begun.to_le_bytes());
        bytes[24..32].copy_from_slice(&left.to_le_bytes());
        let found = HandedOver::new(bytes);
        for n in 0..2u32 {
            let it_went = went > u64::from(n);
            match found.left(ActuatorId(0), of(n).id) {
                Left::Yes => assert!(it_went, "command {n} is said to have left"),
                Left::No => assert!(!it_went, "command {n} is said to be owed"),
                Left::InDoubt => {}
            }
        }
        sender.join().expect("it ends");
    });
}

/// Whoever fills a lane pushes and then unparks; the stepping thread looks and then parks. It never sleeps on what is there.
#[test]
fn what_is_pushed_before_an_unpark_is_never_slept_on() {
    explore("push, unpark; look, park", 3, || {
        let pushed = Arc::new(AtomicUsize::new(0));
        let stepper = loom::thread::current();
        let inlet = {
            let pushed = pushed.clone();
            loom::thread::spawn(move || {
                for n in 1..=2 {
                    pushed.store(n, Ordering::Release);
                    stepper.unpark();
                }
            })
        };
        let mut taken = 0;
        while taken < 2 {
            taken = pushed.load(Ordering::Acquire);
            if taken < 2 {
                // A lost wake-up would leave nobody to run here, and loom calls that a deadlock.
                loom::thread::park();
            }
        }
        inlet.join().expect("it ends");
    });
}

/// The swap of intervals: one slot each way. Every count is in exactly one interval, and the one that is handed out is
/// whole.
#[test]
fn swapped_intervals_lose_and_double_nothing() {
    explore("interval exchange", 3, || {
        // A slot: 0 empty, else the interval's number. Two intervals, each a plain count that only its holder touches.
        let counts = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
        let (asked, back) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let done = Arc::new(AtomicBool::new(false));
        let hot = {
            let (counts, asked, back, done) = (counts.clone(), asked.clone(), back.clone(), done.clone());
            loom::thread::spawn(move || {
                let mut current = 1;
                for _ in 0..2 {
                    // Its holder alone adds to it: no read-modify-write is needed.
                    let count = &counts[current - 1];
                    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                    let next = asked.load(Ordering::Acquire);
                    if next != 0 {
                        asked.store(0, Ordering::Release);
                        back.store(current, Ordering::Release);
                        current = next;
                    }
                }
                done.store(true, Ordering::Release);
                current
            })
        };
        asked.store(2, Ordering::Release);
        let mut sum = 0;
        let filled = back.load(Ordering::Acquire);
        if filled != 0 {
            sum += counts[filled - 1].load(Ordering::Relaxed);
            back.store(0, Ordering::Release);
        }
        let last = hot.join().expect("it ends");
        let filled = back.load(Ordering::Acquire);
        for left in [filled, last].into_iter().filter(|n| *n != 0) {
            sum += counts[left - 1].load(Ordering::Relaxed);
        }
        assert!(done.load(Ordering::Acquire));
        assert_eq!(sum, 2);
    });
}
