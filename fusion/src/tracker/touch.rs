//! Room that is there before the first scan.
//!
//! The system gives memory when it is first written, about a microsecond for every four kilobytes, and the first scans
//! over a crowd, which have most to do anyway, would wait for it. So what they need is written once when a tracker is made.

/// Most bytes of one array that are written: all that 1,000 people need, of most arrays.
const TOUCHED_BYTES: usize = 256 * 1024;

/// An empty array with room for `max`, of which as many are written as fit into 256 kB.
pub(super) fn touched<T: Clone + Default>(max: usize) -> Vec<T> {
    touched_up_to(max, TOUCHED_BYTES / size_of::<T>().max(1))
}

/// An empty array with room for `max`, of which `touch` are written.
pub(super) fn touched_up_to<T: Clone + Default>(max: usize, touch: usize) -> Vec<T> {
    let mut room = Vec::with_capacity(max);
    room.resize(max.min(touch), T::default());
    room.clear();
    room
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_all_and_nothing_in_it() {
        let room: Vec<u64> = touched(1_000_000);
        assert!(room.is_empty() && room.capacity() >= 1_000_000);
        let small: Vec<[f64; 9]> = touched_up_to(3, 10);
        assert!(small.is_empty() && small.capacity() >= 3);
    }
}
