//! Who was whom, by everything that was heard before and after: belief propagation over pieces of tracks.
//!
//! A track is cut where it came close to another one. Every piece is somebody: a person or nobody known. Where two tracks
//! met, either both went on as they were or they had changed places; where a badge was read, one of those near is its
//! owner; and one person is one piece at a time. The probabilities of each piece are found by sum-product (Kschischang,
//! Frey and Loeliger 2001, "Factor graphs and the sum-product algorithm"), forward and backward in turn: exact where the
//! pieces form a tree, and near it where people meet again and again.

/// Nothing is impossible: the least share of a message.
const MESSAGE_MIN: f64 = 1e-12;
/// The most that one badge read may say for or against a piece.
const RATIO_MAX: f64 = 1e6;
/// How well it fits that none of the pieces near a reader showed the badge.
const NOBODY_SEEN: f64 = 1e-3;
/// What is left of a person's probability in pieces that were elsewhere when the badge was read.
const ELSEWHERE: f64 = 0.05;

/// Two tracks met: before `[0]` and `[1]`, afterwards `[2]` and `[3]`, on the same tracks in the same order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meeting {
    pub(super) pieces: [usize; 4],
    /// Probability that they changed places.
    pub(super) swap_p: f64,
}

/// One who may have shown a badge.
#[derive(Clone, Copy, Debug)]
struct Near {
    piece: usize,
    /// How well the place fits, above 0.
    fit: f64,
    /// What the read says to the piece: the person's weight over that of everybody else.
    ratio: f64,
}

/// A badge was read.
#[derive(Clone, Debug)]
struct Read {
    person: usize,
    near: Vec<Near>,
}

/// Pieces, meetings and reads.
#[derive(Clone, Debug)]
pub(super) struct Graph {
    /// People and nobody known, who comes last.
    width: usize,
    /// `[piece][person]`, each piece's sum is 1.
    beliefs: Vec<f64>,
    meetings: Vec<Meeting>,
    /// What each meeting says to each of its pieces: `[meeting][4][person]`.
    told: Vec<f64>,
    reads: Vec<Read>,
    /// Room for what four pieces believe without a meeting's word.
    room: [Vec<f64>; 4],
}

/// Makes the sum 1.
fn normalise(values: &mut [f64]) {
    let scale = 1.0 / values.iter().sum::<f64>();
    values.iter_mut().for_each(|v| *v *= scale);
}

impl Graph {
    /// `pieces` pieces of `people` people and unknown ones. Those of `firsts` begin a track: whoever it is, each person is
    /// `known_p` times as likely as nobody known.
    pub(super) fn new(pieces: usize, people: usize, firsts: impl Iterator<Item = usize>, known_p: f64) -> Self {
        let width = people + 1;
        let mut graph = Graph {
            width,
            beliefs: vec![1.0; pieces * width],
            meetings: Vec::new(),
            told: Vec::new(),
            reads: Vec::new(),
            room: std::array::from_fn(|_| vec![0.0; width]),
        };
        for piece in firsts {
            graph.beliefs[piece * width..(piece + 1) * width - 1].fill(known_p);
        }
        graph.beliefs.chunks_exact_mut(width).for_each(normalise);
        graph
    }

    /// Adds a meeting, later than those before.
    pub(super) fn meeting(&mut self, meeting: Meeting) {
        self.meetings.push(meeting);
        self.told.resize(self.told.len() + 4 * self.width, 1.0);
    }

    /// Adds a badge read of a person: pieces near the reader with how well they fit, and pieces elsewhere.
    pub(super) fn read(&mut self, person: usize, near: &[(usize, f64)], elsewhere: impl Iterator<Item = usize>) {
        let near = near.iter().map(|&(piece, fit)| Near { piece, fit, ratio: 1.0 }).collect();
        self.reads.push(Read { person, near });
        for piece in elsewhere {
            let belief = &mut self.beliefs[piece * self.width..(piece + 1) * self.width];
            belief[person] *= ELSEWHERE;
            normalise(belief);
        }
    }

    /// What is believed of a piece: people in order, then nobody known.
    pub(super) fn belief(&self, piece: usize) -> &[f64] {
        &self.beliefs[piece * self.width..(piece + 1) * self.width]
    }

    /// Passes all messages so many times, forward and backward in turn.
    pub(super) fn solve(&mut self, rounds: usize) {
        for round in 0..rounds {
            for read in 0..self.reads.len() {
                self.hear(read);
            }
            let last = self.meetings.len();
            for n in 0..last {
                self.meet(if round % 2 == 0 { n } else { last - 1 - n });
            }
        }
    }

    /// What a read says to the pieces near it: of each, how well it fits against all the others that might be the one.
    fn hear(&mut self, read: usize) {
        let Graph { beliefs, reads, width, .. } = self;
        let Read { person, near } = &mut reads[read];
        let without = |n: &Near, beliefs: &[f64]| {
            let belief = &beliefs[n.piece * *width..(n.piece + 1) * *width];
            let p = belief[*person] / n.ratio;
            p / (belief.iter().sum::<f64>() - belief[*person]).max(1e-6)
        };
        let all: f64 = NOBODY_SEEN + near.iter().map(|n| n.fit * without(n, beliefs)).sum::<f64>();
        for n in near {
            let rest = (all - n.fit * without(n, beliefs)).max(NOBODY_SEEN);
            let ratio = (n.fit / rest).clamp(1.0 / RATIO_MAX, RATIO_MAX);
            let belief = &mut beliefs[n.piece * *width..(n.piece + 1) * *width];
            belief[*person] *= ratio / n.ratio;
            n.ratio = ratio;
            normalise(belief);
        }
    }

    /// What a meeting says to its four pieces.
    fn meet(&mut self, meeting: usize) {
        let Graph { beliefs, meetings, told, room, width, .. } = self;
        let (Meeting { pieces, swap_p }, width) = (meetings[meeting], *width);
        let told = &mut told[4 * width * meeting..4 * width * (meeting + 1)];
        for (q, room) in room.iter_mut().enumerate() {
            let belief = &beliefs[pieces[q] * width..(pieces[q] + 1) * width];
            for ((to, b), t) in room.iter_mut().zip(belief).zip(&told[q * width..]) {
                *to = b / t;
            }
            normalise(room);
        }
        let [a, b, c, d] = room;
        let both = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        let (ac, ad, bc, bd) = (both(a, c), both(a, d), both(b, c), both(b, d));
        for i in 0..width {
            // The other piece is somebody else, but there may be several of whom nothing is known.
            let known = if i + 1 < width { 1.0 } else { 0.0 };
            let others = |all: f64, x: &[f64], y: &[f64]| (all - known * x[i] * y[i]).max(0.0);
            let (ac, ad, bc, bd) = (others(ac, a, c), others(ad, a, d), others(bc, b, c), others(bd, b, d));
            let stay = 1.0 - swap_p;
            told[i] = stay * c[i] * bd + swap_p * d[i] * bc;
            told[width + i] = stay * d[i] * ac + swap_p * c[i] * ad;
            told[2 * width + i] = stay * a[i] * bd + swap_p * b[i] * ad;
            told[3 * width + i] = stay * b[i] * ac + swap_p * a[i] * bc;
        }
        for ((message, room), piece) in told.chunks_exact_mut(width).zip(room).zip(pieces) {
            normalise(message);
            let belief = &mut beliefs[piece * width..(piece + 1) * width];
            for ((b, m), r) in belief.iter_mut().zip(message).zip(room) {
                *m += MESSAGE_MIN;
                *b = *m * *r;
            }
            normalise(belief);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every way in which two tracks that meet once may be two people or unknown, weighed: the slow reference.
    #[test]
    fn one_meeting_between_two_reads_is_exact() {
        let swap_p = 0.3;
        let known_p = 0.2;
        // Person 0 is read on track 0 before (or, worse fitting, on track 1), person 1 on track 1 afterwards.
        let reads = [(0, [(0, 0.9), (1, 0.05)]), (1, [(2, 0.1), (3, 0.8)])];
        let mut graph = Graph::new(4, 2, 0..2, known_p);
        graph.meeting(Meeting { pieces: [0, 1, 2, 3], swap_p });
        for (person, near) in &reads {
            graph.read(*person, near, std::iter::empty());
        }
        graph.solve(40);
        let mut want = [[0.0; 3]; 4];
        for a in 0..3 {
            for b in 0..3 {
                if a == b && a < 2 {
                    continue;
                }
                let prior = [known_p, known_p, 1.0];
                for (p, [c, d]) in [(1.0 - swap_p, [a, b]), (swap_p, [b, a])] {
                    let who = [a, b, c, d];
                    let mut weight = prior[a] * prior[b] * p;
                    for (person, near) in &reads {
                        // The read is of whoever is the person, and of nobody seen where neither is.
                        weight *= near.iter().find(|n| who[n.0] == *person).map_or(NOBODY_SEEN, |n| n.1);
                    }
                    who.iter().zip(&mut want).for_each(|(who, sums)| sums[*who] += weight);
                }
            }
        }
        for (piece, want) in want.iter_mut().enumerate() {
            normalise(want);
            for (got, want) in graph.belief(piece).iter().zip(want) {
                // The two pieces of a read hang together twice, by the read and by the meeting: nearly a tree.
                assert!((got - *want).abs() < 0.06, "{piece}: {:?}", graph.belief(piece));
            }
        }
    }

    #[test]
    fn whoever_is_read_on_the_other_track_afterwards_had_changed_places() {
        let mut graph = Graph::new(4, 2, 0..2, 0.1);
        graph.meeting(Meeting { pieces: [0, 1, 2, 3], swap_p: 0.1 });
        graph.read(0, &[(0, 1.0)], std::iter::once(1));
        graph.read(0, &[(3, 1.0)], std::iter::once(2));
        // Nobody was read on the other one but afterwards: they were it before, too.
        graph.read(1, &[(2, 1.0)], std::iter::once(3));
        graph.solve(12);
        for (piece, person) in [(0, 0), (1, 1), (2, 1), (3, 0)] {
            assert!(graph.belief(piece)[person] > 0.95, "{piece}: {:?}", graph.belief(piece));
        }
    }
}
