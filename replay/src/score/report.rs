//! The figures of a score under their published names, in their published order, rounded as published.

use std::fmt::Write as _;

/// One figure of a report.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Figure {
    /// A number of things.
    Count(usize),
    /// A measured value, already rounded.
    Value(f64),
}

/// Shares of (person, frame) whose matched track claims to be somebody, of all (person, frame).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Identity {
    /// The matched track names the right person.
    pub right: f64,
    /// The matched track names another person.
    pub wrong: f64,
    /// Nothing is matched, or what is matched names nobody.
    pub none: f64,
}

/// How well tracks follow the truth. Values are rounded to four decimals (`mean_people` to three), lengths are in metres.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Times of the truth that were scored.
    pub frames: usize,
    /// Mean number of people in a frame.
    pub mean_people: f64,
    /// Mean GOSPA over frames.
    pub gospa: f64,
    /// Root of the mean squared GOSPA (for order 2).
    pub gospa_rms: f64,
    /// The same per person: comparable between crowds.
    pub gospa_pp: f64,
    /// Mean per frame of GOSPA's localisation part, in m^order.
    pub loc2: f64,
    /// Mean per frame of its part for missed people.
    pub missed2: f64,
    /// Mean per frame of its part for false tracks.
    pub false2: f64,
    /// Mean number of missed people in a frame.
    pub n_missed: f64,
    /// Mean number of false tracks in a frame.
    pub n_false: f64,
    /// Root mean square distance of pairs within the cut-off.
    pub loc_rmse: f64,
    /// Mean OSPA over frames.
    pub ospa: f64,
    /// Mean OSPA(2) over windows; `None` where the window was turned off.
    pub ospa2: Option<f64>,
    /// Multiple object tracking accuracy.
    pub mota: f64,
    /// Identity F1.
    pub idf1: f64,
    /// Mean distance of matched pairs; `None` where nothing was ever matched.
    pub motp: Option<f64>,
    /// Times that a person got another label.
    pub num_switches: usize,
    /// Gaps in the tracking of a person.
    pub num_fragmentations: usize,
    /// People not matched, over all frames.
    pub misses: usize,
    /// Tracks not matched, over all frames.
    pub false_pos: usize,
    /// Higher order tracking accuracy.
    pub hota: f64,
    /// Its detection part.
    pub deta: f64,
    /// Its association part.
    pub assa: f64,
    /// Labels in the track file.
    pub n_track_ids: usize,
    /// Who was recognised; `None` where no track names anybody.
    pub ident: Option<Identity>,
    /// Rows of tracks at times that the truth does not have: they count in no other figure.
    pub rows_at_unknown_times: usize,
}

impl Report {
    /// The figures with their names, in the order of the reference scorer; what does not apply is left out.
    #[must_use]
    pub fn figures(&self) -> Vec<(&'static str, Figure)> {
        use Figure::{Count, Value};
        let mut figures = vec![
            ("frames", Count(self.frames)),
            ("mean_people", Value(self.mean_people)),
            ("gospa", Value(self.gospa)),
            ("gospa_rms", Value(self.gospa_rms)),
            ("gospa_pp", Value(self.gospa_pp)),
            ("loc2", Value(self.loc2)),
            ("missed2", Value(self.missed2)),
            ("false2", Value(self.false2)),
            ("n_missed", Value(self.n_missed)),
            ("n_false", Value(self.n_false)),
            ("loc_rmse", Value(self.loc_rmse)),
            ("ospa", Value(self.ospa)),
        ];
        figures.extend(self.ospa2.map(|value| ("ospa2", Value(value))));
        figures.extend([("mota", Value(self.mota)), ("idf1", Value(self.idf1))]);
        figures.extend(self.motp.map(|value| ("motp", Value(value))));
        figures.extend([
            ("num_switches", Count(self.num_switches)),
            ("num_fragmentations", Count(self.num_fragmentations)),
            ("misses", Count(self.misses)),
            ("false_pos", Count(self.false_pos)),
            ("hota", Value(self.hota)),
            ("deta", Value(self.deta)),
            ("assa", Value(self.assa)),
            ("n_track_ids", Count(self.n_track_ids)),
        ]);
        if let Some(ident) = self.ident {
            figures.extend([
                ("ident_right", Value(ident.right)),
                ("ident_wrong", Value(ident.wrong)),
                ("ident_none", Value(ident.none)),
            ]);
        }
        figures.push(("rows_at_unknown_times", Count(self.rows_at_unknown_times)));
        figures
    }

    /// One line of JSON, without a line end.
    ///
    /// `motp` is left out where nothing was matched: the reference scorer prints `NaN` there, which is no JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut line = String::from("{");
        for (name, figure) in self.figures() {
            let comma = if line.len() > 1 { ", " } else { "" };
            // Writing to a string cannot fail; `{:?}` is the shortest text that reads back as the same number.
            let _ = match figure {
                Figure::Count(count) => write!(line, "{comma}\"{name}\": {count}"),
                Figure::Value(value) => write!(line, "{comma}\"{name}\": {value:?}"),
            };
        }
        line.push('}');
        line
    }
}
