//! Gaps between walls: too wide for a slip of the pen, too narrow for a way through.
//!
//! Walls say where nobody can have come from, so a track leaks through a gap. Two looks find them: along the edges of
//! rooms, where a wall stops short of the next (walls drawn as outlines), and at the ends of wall lines.

use super::scene::{PASSAGE_M, Scene, Stretch};
use super::{Report, place};
use osmose_model::geometry::{Aabb, Point, Segment};

/// Two gaps nearer than this are one, metres.
const SAME_GAP_M: f64 = 0.5;
/// Ends nearer than this touch, metres.
const TOUCH_M: f64 = 0.02;
/// A door's jamb may be this far from the wall's end, metres.
const JAMB_M: f64 = 0.25;

pub(super) fn gaps(scene: &Scene<'_>, report: &mut Report<'_>) {
    let mut told: Vec<Point> = Vec::new();
    let mut say = |at: Point, wide_m: f64, sort: &'static str, name: &str, of: &str, report: &mut Report<'_>| {
        if told.iter().any(|p| p.distance(at) < SAME_GAP_M) {
            return;
        }
        told.push(at);
        let message = format!("There is a gap of {wide_m:.2} m in the walls at {}, {of}.", place(at));
        let help = "Draw the walls to one corner; where it is meant, draw an `opening` there.";
        report.add("wall-gap", (sort, name), (scene.level, Some(at)), message, help);
    };
    for wall in scene.site.walls.iter().filter(|w| w.level == scene.level) {
        for end in loose_ends(&wall.segments) {
            if let Some((other, wide_m)) = next_wall(scene, &wall.segments, end) {
                let middle = Point::new((end.x_m + other.x_m) / 2.0, (end.y_m + other.y_m) / 2.0);
                say(middle, wide_m, "wall", &wall.name, &format!("at the end of `{}`", wall.name), report);
            }
        }
    }
    for (room, stretches) in scene.rooms.iter().zip(&scene.open) {
        let narrow = |s: &&Stretch| s.length_m <= PASSAGE_M;
        for s in stretches.iter().filter(narrow) {
            say(s.middle, s.length_m, "zone", &room.name, &format!("on the edge of room `{}`", room.name), report);
        }
    }
}

/// The ends of a wall's lines that no other of its segments touches.
fn loose_ends(segments: &[Segment]) -> Vec<Point> {
    let ends = segments.iter().enumerate().flat_map(|(i, s)| [(i, s.a), (i, s.b)]);
    let touched =
        |i: usize, p: Point| segments.iter().enumerate().any(|(j, s)| j != i && s.nearest(p).distance(p) <= TOUCH_M);
    ends.filter(|&(i, p)| !touched(i, p)).map(|(_, p)| p).collect()
}

/// The nearest place of another wall that an end stops short of, and how far it is; `None` where the end touches a wall,
/// stands at a door, or stands free.
fn next_wall(scene: &Scene<'_>, own: &[Segment], end: Point) -> Option<(Point, f64)> {
    let around = Aabb { min: end, max: end }.grown(PASSAGE_M);
    let others = scene.walls.near(around).map(|(_, s)| s).filter(|s| !own.contains(s));
    let nearest = others.map(|s| s.nearest(end)).min_by(|p, q| p.distance2(end).total_cmp(&q.distance2(end)))?;
    let wide_m = nearest.distance(end);
    let at_door = scene.doors.distance(end, JAMB_M).is_some();
    (wide_m > TOUCH_M && wide_m <= PASSAGE_M && !at_door).then_some((nearest, wide_m))
}
