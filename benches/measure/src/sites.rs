//! Sites to measure with, as files: the peer job's, and one that has a sensor of every kind.
//!
//! They are written here and loaded like anybody's, so that what is measured is what an integrator's site gets.

use crate::job::{PEOPLE, ROOMS, room};
use osmose_core::Core;
use osmose_model::site::{Site, SourceFile};
use osmose_rules::Program;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// How observations come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a datagram, as the peers get it.
    Json,
    /// Native frames.
    Native,
}

/// Who floods a socket beside the one that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloodBy {
    /// A sensor that says ten times what its `rate_hz` declares.
    Rate,
    /// Somebody from whom nothing is taken there.
    Unknown,
}

/// What the sensor whose socket is flooded declares.
pub const FLOODED_HZ: f64 = 1000.0;

/// What a site is made with.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where events come in.
    pub events: SocketAddr,
    /// Where commands go.
    pub commands: SocketAddr,
    /// How they come.
    pub format: Format,
    /// `topology` of site.toml.
    pub topology: String,
    /// `idle` of site.toml.
    pub idle: String,
    /// How many people carry a device.
    pub people: usize,
    /// Rules beside the job's own that its events do not touch.
    pub untouched: usize,
    /// Rules beside the job's own that every exit of their room wakes, and that then find nothing to do.
    pub woken: usize,
    /// Whether there is a sensor of every other kind too.
    pub every_kind: bool,
    /// A sensor with a socket of its own, which is flooded.
    pub flooded: Option<(SocketAddr, FloodBy)>,
}

impl Default for Plan {
    fn default() -> Self {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Self {
            events: local(7801),
            commands: local(7802),
            format: Format::Json,
            topology: "auto".to_owned(),
            idle: "yield".to_owned(),
            people: PEOPLE,
            untouched: 0,
            woken: 0,
            every_kind: false,
            flooded: None,
        }
    }
}

/// A loaded site and its compiled rules.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The site.
    pub site: Arc<Site>,
    /// Its rules.
    pub program: Program,
}

impl Ready {
    /// A fresh machine.
    #[must_use]
    pub fn core(&self) -> Core {
        Core::new(self.site.clone(), self.program.clone())
    }

    /// Loads files and compiles their rules.
    ///
    /// # Errors
    /// Everything that is wrong with them, a line each.
    pub fn of(files: &[SourceFile]) -> Result<Self, String> {
        let loaded = osmose_load::load(files);
        let faults: Vec<String> = loaded
            .faults
            .iter()
            .filter(|f| f.severity == osmose_load::Severity::Error)
            .map(ToString::to_string)
            .collect();
        let site = loaded.site.filter(|_| faults.is_empty()).ok_or_else(|| faults.join("\n"))?;
        let rules: Vec<SourceFile> = site.rule_files().cloned().collect();
        let checked = osmose_rules::check(&site, &rules);
        let errors = || -> Vec<String> {
            checked.diagnostics.iter().filter(|d| d.is_error()).map(|d| d.message.clone()).collect()
        };
        let program = checked.program.clone().ok_or_else(|| errors().join("\n"))?;
        Ok(Self { site: Arc::new(site), program })
    }
}

/// Writes files into a folder.
///
/// # Errors
/// What the disk says.
pub fn write(files: &[SourceFile], dir: &Path) -> std::io::Result<()> {
    for file in files {
        let path = dir.join(&file.path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, &file.text)?;
    }
    Ok(())
}

impl Plan {
    /// The site's files.
    #[must_use]
    pub fn files(&self) -> Vec<SourceFile> {
        [
            ("site.toml", self.site_toml()),
            ("floorplan.geojson", floorplan()),
            ("devices.toml", self.devices()),
            ("people.toml", self.people_toml()),
            ("rules/peer-job.rules", self.rules()),
        ]
        .into_iter()
        .map(|(path, text)| SourceFile { path: path.to_owned(), text })
        .collect()
    }

    /// The site, loaded.
    ///
    /// # Errors
    /// As [`Ready::of`]; none of the plans in this crate gives any.
    pub fn load(&self) -> Result<Ready, String> {
        Ready::of(&self.files())
    }

    fn site_toml(&self) -> String {
        let tracks_max = (self.people * 5 / 4).max(256);
        let Self { topology, idle, .. } = self;
        format!(
            "name = \"peer-job\"\n\n[engine]\ntopology = \"{topology}\"\nidle = \"{idle}\"\ntracks_max = {tracks_max}\n\n\
             [zones]\nenter_margin_m = 0.0\nexit_margin_m = 0.0\nexit_delay_ms = 0\nlost_s = 60.0\n\n[words]\nroom = [\"conferenceroom\"]\n"
        )
    }

    fn devices(&self) -> String {
        let connect = match self.format {
            Format::Json => format!(
                "{{ udp = \"{}\", format = \"json\", map = {{ device = \"/id\", x_m = \"/x\", y_m = \"/y\", seq = \"/seq\" }} }}",
                self.events
            ),
            Format::Native => format!("{{ udp = \"{}\", format = \"osmose\" }}", self.events),
        };
        let mut out = format!(
            "[[sensor]]\nid = \"positions\"\nkind = \"location\"\nlevel = \"ground\"\nnoise = {{ sigma_m = 0.1 }}\nconnect = {connect}\n"
        );
        if self.every_kind {
            self.other_kinds(&mut out);
        }
        if let Some((udp, by)) = self.flooded {
            let from = if by == FloodBy::Unknown { ", from = \"192.0.2.1:9\"" } else { "" };
            let _ = write!(
                out,
                "\n[[sensor]]\nid = \"flooded\"\nkind = \"value\"\nunit = \"lx\"\nstale_s = 60.0\nlevel = \"ground\"\nzones = [\"r0\"]\n\
                 rate_hz = {FLOODED_HZ:.1}\nconnect = {{ udp = \"{udp}\", format = \"json\", map = {{ value = \"/v\" }}{from} }}\n"
            );
        }
        for r in 0..ROOMS {
            let _ = write!(
                out,
                "\n[[actuator]]\nid = \"r{r}.recorder\"\nkind = \"recorder\"\nzone = \"r{r}\"\nconnect = {{ udp = \"{}\", format = \"json\" }}\n",
                self.commands
            );
        }
        // What rules that no event touches look at.
        if self.untouched > 0 || self.every_kind {
            let _ = write!(
                out,
                "\n[[sensor]]\nid = \"lux\"\nkind = \"value\"\nunit = \"lx\"\nstale_s = 60.0\nlevel = \"ground\"\nzones = [\"r0\"]\n\
                 connect = {{ udp = \"{}\", format = \"osmose\" }}\n",
                self.native_port()
            );
        }
        out
    }

    /// Where native frames come in: beside JSON they have a port of their own.
    fn native_port(&self) -> SocketAddr {
        match self.format {
            Format::Native => self.events,
            Format::Json => SocketAddr::new(self.events.ip(), self.events.port().wrapping_add(2).max(1024)),
        }
    }

    fn other_kinds(&self, out: &mut String) {
        let to = self.native_port();
        let mut sensor = |id: &str, kind: &str, keys: &str| {
            let _ = write!(
                out,
                "\n[[sensor]]\nid = \"{id}\"\nkind = \"{kind}\"\nlevel = \"ground\"\n{keys}connect = {{ udp = \"{to}\", format = \"osmose\" }}\n"
            );
        };
        let zone = "zones = [\"r0\"]\n";
        sensor(
            "ceiling",
            "position",
            "noise = { sigma_m = 0.1, p_detect = 0.95, clutter_per_scan = 0.3 }\nrate_hz = 10.0\n",
        );
        sensor("radar", "points", "rate_hz = 10.0\npose = { x_m = 4.0, y_m = 3.0, z_m = 2.5 }\n");
        for (i, (x, y)) in [(0.0, 0.0), (50.0, 0.0), (50.0, 32.0), (0.0, 32.0)].into_iter().enumerate() {
            let pose = format!("pose = {{ x_m = {x:.1}, y_m = {y:.1}, z_m = 2.5 }}\n");
            sensor(&format!("range-{i}"), "range", &format!("noise = {{ sigma_m = 0.1 }}\n{pose}"));
            sensor(&format!("tdoa-{i}"), "tdoa", &format!("noise = {{ sigma_m = 0.1 }}\n{pose}"));
            sensor(
                &format!("rssi-{i}"),
                "rssi",
                &format!("noise = {{ tx_dbm_1m = -59.0, exponent = 2.0, sigma_db = 4.0 }}\n{pose}"),
            );
            sensor(
                &format!("bearing-{i}"),
                "bearing",
                &format!("noise = {{ sigma_deg = 3.0, p_detect = 0.9 }}\n{pose}"),
            );
        }
        sensor("voice", "voice", &format!("{zone}pose = {{ x_m = 4.0, y_m = 3.0, z_m = 1.0 }}\n"));
        sensor("facing", "facing", "");
        sensor("gesture", "gesture", "");
        sensor("motion", "binary", &format!("role = \"motion\"\n{zone}"));
        sensor("reader", "badge", &format!("{zone}pose = {{ x_m = 8.0, y_m = 3.0, z_m = 1.0 }}\n"));
        sensor("door", "crossing", &format!("{zone}pose = {{ x_m = 8.0, y_m = 3.0, z_m = 2.0 }}\n"));
        sensor("counter", "count", zone);
        sensor("bell", "button", zone);
    }

    fn people_toml(&self) -> String {
        let mut out = String::from("[[group]]\nid = \"participants\"\n\n[[group]]\nid = \"staff\"\n");
        for k in 0..self.people {
            let group = if k.is_multiple_of(10) { "staff" } else { "participants" };
            let badges = if self.every_kind { format!("badges = [\"b{k}\"]\n") } else { String::new() };
            let _ = write!(out, "\n[[person]]\nid = \"p{k}\"\ngroups = [\"{group}\"]\ndevices = [\"p{k}\"]\n{badges}");
        }
        out
    }

    fn rules(&self) -> String {
        let mut out = String::from(
            "edition 1\n\nrule pause-recording {\n  for each room r where r.recorder\n  when any p in members(participants) leaves r\n  \
             do r.recorder.pause()\n  settle 0 ms\n  level user\n}\n",
        );
        for i in 0..self.untouched {
            let r = i % ROOMS;
            let _ = write!(
                out,
                "\nrule untouched-{i} {{\n  when lux > {} lx\n  do r{r}.recorder.pause()\n  level user\n}}\n",
                100 + i
            );
        }
        for i in 0..self.woken {
            let r = i % ROOMS;
            let _ = write!(
                out,
                "\nrule woken-{i} {{\n  when any p in members(participants) leaves r{r}\n  if r{r}.recorder is recording\n  do r{r}.recorder.pause()\n  level user\n}}\n"
            );
        }
        out
    }
}

fn floorplan() -> String {
    let ring = |(x0, y0, x1, y1): (f64, f64, f64, f64)| {
        format!("[[[{x0}, {y0}], [{x1}, {y0}], [{x1}, {y1}], [{x0}, {y1}], [{x0}, {y0}]]]")
    };
    let mut features = vec![format!(
        "{{\"type\": \"Feature\", \"id\": \"ground\", \"feature_type\": \"level\", \"properties\": {{\"name\": \"Ground\", \"ordinal\": 0, \
         \"elevation_m\": 0.0, \"height_m\": 3.0}}, \"geometry\": {{\"type\": \"Polygon\", \"coordinates\": {}}}}}",
        ring((0.0, 0.0, 50.0, 32.0))
    )];
    for r in 0..ROOMS {
        features.push(format!(
            "{{\"type\": \"Feature\", \"id\": \"r{r}\", \"feature_type\": \"unit\", \"properties\": {{\"category\": \"conferenceroom\", \
             \"level\": \"ground\", \"name\": \"Room {r}\"}}, \"geometry\": {{\"type\": \"Polygon\", \"coordinates\": {}}}}}",
            ring(room(r))
        ));
    }
    for r in 0..ROOMS {
        let (_, y0, x1, _) = room(r);
        features.push(format!(
            "{{\"type\": \"Feature\", \"id\": \"door-r{r}\", \"feature_type\": \"opening\", \"properties\": {{\"category\": \"pedestrian\", \
             \"level\": \"ground\", \"joins\": [\"r{r}\", \"outside\"]}}, \"geometry\": {{\"type\": \"LineString\", \"coordinates\": \
             [[{x1}, {}], [{x1}, {}]]}}}}",
            y0 + 0.5,
            y0 + 5.5
        ));
    }
    format!(
        "{{\"type\": \"FeatureCollection\", \"name\": \"peer-job\", \"frame\": \"local\", \"features\": [\n{}\n]}}\n",
        features.join(",\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peer_job_is_that_of_the_example() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/peer-job");
        let example = osmose_load::load_dir(&dir).site.expect("the example loads");
        let ours = Plan::default().load().expect("it loads").site;
        assert_eq!(ours.zones, example.zones);
        assert_eq!(ours.openings, example.openings);
        assert_eq!(ours.people, example.people);
        assert_eq!(ours.groups, example.groups);
        assert_eq!(ours.margins, example.margins);
        assert_eq!(ours.engine, example.engine);
        assert_eq!(ours.sensors, example.sensors);
        assert_eq!(ours.actuators, example.actuators);
        let rules = |s: &Site| -> String {
            let text: String = s.rule_files().map(|f| f.text.clone()).collect();
            text.lines().filter(|l| !l.starts_with('#')).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(
            rules(&ours).split_whitespace().collect::<Vec<_>>(),
            rules(&example).split_whitespace().collect::<Vec<_>>()
        );
    }

    #[test]
    fn every_plan_loads() {
        for plan in [
            Plan { every_kind: true, people: 20, ..Plan::default() },
            Plan { format: Format::Native, idle: "spin".into(), topology: "split".into(), ..Plan::default() },
            Plan { untouched: 10, woken: 10, people: 10, ..Plan::default() },
            Plan { flooded: Some((SocketAddr::from(([127, 0, 0, 1], 7803)), FloodBy::Rate)), ..Plan::default() },
            Plan { flooded: Some((SocketAddr::from(([127, 0, 0, 1], 7803)), FloodBy::Unknown)), ..Plan::default() },
        ] {
            let ready = plan.load().unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(ready.site.people.len(), plan.people);
            assert_eq!(ready.program.rules().len(), 1 + plan.untouched + plan.woken);
        }
    }
}
