//! Control points: places that somebody found in the plan and measured on the ground.
//!
//! A CSV file with a header: `plan_x,plan_y` (the plan's own units) or `plan_lat_deg,plan_lon_deg` (a plan in degrees),
//! then `x_m,y_m` (site metres) or `lat_deg,lon_deg` (WGS-84), and `name` where the points have names.

use crate::at_line;
use osmose_load::Fault;
use std::collections::BTreeMap;

/// Most control points of one plan.
pub const POINTS_MAX: usize = 10_000;

/// Where the points are in the plan, and where on the ground.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// The plan's own units, or the site's metres.
    Plane,
    /// Longitude and latitude, degrees.
    Degrees,
}

/// One place, twice.
#[derive(Clone, Debug, PartialEq)]
pub struct Control {
    /// What people call it, else its number from 1.
    pub name: String,
    /// In the plan: x and y, or longitude and latitude.
    pub plan: [f64; 2],
    /// On the ground: x and y, or longitude and latitude.
    pub ground: [f64; 2],
}

/// A file of control points.
#[derive(Clone, Debug, PartialEq)]
pub struct Controls {
    /// What the plan's numbers are.
    pub plan: Unit,
    /// What the ground's numbers are.
    pub ground: Unit,
    /// The points, in file order.
    pub points: Vec<Control>,
}

const HELP: &str = "The header is `plan_x,plan_y` or `plan_lat_deg,plan_lon_deg`, then `x_m,y_m` or `lat_deg,lon_deg`, and `name` if you like.";

/// Reads control points.
///
/// ```
/// let text = "name,plan_x,plan_y,x_m,y_m\ndoor,100,50,1.0,0.5\ncorner,900,50,9.0,0.5\n";
/// let controls = osmose_survey::control::read("control.csv", text).unwrap();
/// assert_eq!(controls.points[1].ground, [9.0, 0.5]);
/// ```
///
/// # Errors
/// A header or row that cannot be used, with its line.
pub fn read(file: &str, text: &str) -> Result<Controls, Box<Fault>> {
    let wrong = |line: u64, message: String, help: &str| {
        at_line("control-points", file, Some((u32::try_from(line).unwrap_or(u32::MAX), 1)), message, help)
    };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).comment(Some(b'#')).from_reader(text.as_bytes());
    let headers = reader.headers().map_err(|e| wrong(1, format!("The header cannot be read: {e}."), HELP))?.clone();
    let known = ["name", "plan_x", "plan_y", "plan_lat_deg", "plan_lon_deg", "x_m", "y_m", "lat_deg", "lon_deg"];
    let mut column: BTreeMap<&str, usize> = BTreeMap::new();
    for (i, name) in headers.iter().enumerate() {
        if !known.contains(&name) || column.insert(name, i).is_some() {
            return Err(wrong(1, format!("The column `{name}` is unknown or there twice."), HELP));
        }
    }
    let pair = |a: &str, b: &str| Some([*column.get(a)?, *column.get(b)?]);
    let plan = pair("plan_x", "plan_y").map(|c| (Unit::Plane, c));
    let plan = plan.or(pair("plan_lon_deg", "plan_lat_deg").map(|c| (Unit::Degrees, c)));
    let ground = pair("x_m", "y_m").map(|c| (Unit::Plane, c));
    let ground = ground.or(pair("lon_deg", "lat_deg").map(|c| (Unit::Degrees, c)));
    let (Some((plan, from)), Some((ground, to))) = (plan, ground) else {
        return Err(wrong(
            1,
            "The header does not say where the points are in the plan and on the ground.".into(),
            HELP,
        ));
    };
    let mut points = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|e| {
            let line = e.position().map_or(0, csv::Position::line);
            wrong(line, format!("This row cannot be read: {e}."), "Give every row as many values as the header.")
        })?;
        let line = row.position().map_or(0, csv::Position::line);
        let number = |i: usize, degrees_max: Option<f64>| {
            let text = row.get(i).unwrap_or_default();
            let value = text.parse().ok().filter(|x: &f64| x.is_finite() && x.abs() <= degrees_max.unwrap_or(1e9));
            value.ok_or_else(|| wrong(line, format!("`{text}` is no number that `{}` can be.", &headers[i]), HELP))
        };
        let both = |unit: Unit, [a, b]: [usize; 2]| {
            let is_degrees = unit == Unit::Degrees;
            Ok::<_, Box<Fault>>([number(a, is_degrees.then_some(180.0))?, number(b, is_degrees.then_some(90.0))?])
        };
        if points.len() >= POINTS_MAX {
            return Err(wrong(
                line,
                format!("There are more than {POINTS_MAX} points."),
                "A handful, far apart, is best.",
            ));
        }
        let name = column.get("name").and_then(|&i| row.get(i)).filter(|n| !n.is_empty());
        let name = name.map_or_else(|| (points.len() + 1).to_string(), str::to_owned);
        points.push(Control { name, plan: both(plan, from)?, ground: both(ground, to)? });
    }
    Ok(Controls { plan, ground, points })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn degrees_are_longitude_first_inside_whatever_the_file_says() {
        let text = "lat_deg,lon_deg,plan_x,plan_y\n52.2,0.12,1,2\n# a comment\n52.3,0.13,3,4\n";
        let controls = read("c.csv", text).unwrap();
        assert_eq!((controls.plan, controls.ground), (Unit::Plane, Unit::Degrees));
        assert_eq!(controls.points[0].ground, [0.12, 52.2]);
        assert_eq!(controls.points[1].name, "2");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let said = |text: &str| read("c.csv", text).unwrap_err().to_string();
        assert!(said("plan_x,plan_y\n1,2\n").contains("c.csv:1:1"), "{}", said("plan_x,plan_y\n1,2\n"));
        assert!(
            said("plan_x,plan_y,x_m,y_m\n1,2,3,nan\n").contains("c.csv:2:1: `nan` is no number that `y_m` can be.")
        );
        assert!(said("plan_x,plan_y,lat_deg,lon_deg\n1,2,120,3\n").contains("`120`"));
        assert!(said("plan_x,plan_y,x_m,y_m\n1,2,3\n").contains("c.csv:2:1"));
        assert!(said("plan_x,plan_y,x_m,y_m,colour\n").contains("`colour`"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>(), rows in "[0-9,.\"\n -]{0,80}") {
            let _ = read("c.csv", &text);
            let _ = read("c.csv", &format!("plan_x,plan_y,x_m,y_m\n{rows}"));
        }
    }
}
