//! The desk beside a running engine: what is saved takes effect at one input (`reload`), and operators' actions come in
//! through a socket in the state folder.
//!
//! The socket is a Unix datagram socket with mode 0600, so only who may read the state may act, and nothing leaves the
//! machine. A request is one JSON object, its answer another.

mod reload;

use crate::outcome::Failure;
use crate::stderr::say;
use osmose_model::canon;
use osmose_model::command::Value as DeviceValue;
use osmose_model::ids::Name;
use osmose_model::input::{Input, OperatorAction, ReasonText};
use osmose_model::limits::INPUT_BYTES_MAX;
use osmose_model::site::{Site, SourceFile};
use osmose_model::time::{DurationNs, LogicalNs};
use osmose_rules::Carried;
use osmose_runtime::clock::HostClock;
use osmose_runtime::control::{Control, ControlTx, Spent};
use osmose_runtime::cores::Cores;
use osmose_runtime::engine::OwnedInput;
use osmose_runtime::logs::Names;
use reload::Saved;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// The socket's name in the state folder.
const SOCKET: &str = "control.sock";
/// How often the files are looked at, and how long a stop may go unseen.
const LOOK_EVERY: Duration = Duration::from_millis(150);
/// How long a client waits for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// The longest request.
const REQUEST_BYTES_MAX: usize = 8 * 1024;

/// What the desk knows of the engine.
pub(crate) struct Desk {
    /// The site's folder.
    dir: PathBuf,
    /// The site as a recording of this run begins with it.
    recorded: Arc<Site>,
    /// The site that runs, with the people and calendars in force.
    site: Arc<Site>,
    /// Calendars that went with an installation: they go with all later ones.
    alongside: BTreeSet<String>,
    /// The rule files in force.
    rules: Vec<SourceFile>,
    /// The levels in force: other ones need a restart.
    levels: Vec<String>,
    /// The engine's clock.
    clock: HostClock,
    /// The names that logs show.
    names: Names,
    /// The way into the engine.
    to_engine: ControlTx,
}

impl Desk {
    /// Of the site in `dir` as a recording of this run begins with it, and as it is once what the engine begins with is in
    /// force.
    pub(crate) fn new(
        dir: PathBuf,
        (recorded, site): (Arc<Site>, Arc<Site>),
        levels: Vec<String>,
        clock: HostClock,
        names: Names,
        to_engine: ControlTx,
    ) -> Self {
        let rules = site.rule_files().cloned().collect();
        Desk { dir, recorded, site, alongside: BTreeSet::new(), rules, levels, clock, names, to_engine }
    }

    /// Opens the desk on a thread of its own, until `stop`. Without a state folder there is no socket, and what is
    /// saved is followed all the same.
    pub(crate) fn open(self, state: Option<&Path>, stop: Arc<AtomicBool>) -> Option<JoinHandle<()>> {
        let socket = state.and_then(|dir| match bind(dir) {
            Ok(socket) => Some(socket),
            Err(error) => {
                say!("operators cannot reach this engine: {}: {error}", dir.join(SOCKET).display());
                None
            }
        });
        let path = state.map(|dir| dir.join(SOCKET));
        // Before anything runs: what is saved from here on is seen.
        let (seen, cores) = (Saved::look(&self.dir, &self.site), Cores::read());
        let thread = std::thread::Builder::new().name("osmose-desk".into()).spawn(move || {
            // Whoever cannot is at the pipeline's side all the same.
            _ = cores.step_aside();
            self.serve(seen, socket.as_ref(), &stop);
            if let (Some(_), Some(path)) = (socket, path) {
                _ = std::fs::remove_file(path);
            }
        });
        thread.map_err(|e| say!("rules will not be reloaded: {e}")).ok()
    }

    fn serve(mut self, mut seen: Saved, socket: Option<&UnixDatagram>, stop: &AtomicBool) {
        let (mut changing, mut held): (Option<Saved>, Saved) = (None, seen.clone());
        let mut buffer = vec![0; REQUEST_BYTES_MAX];
        while !stop.load(Ordering::Relaxed) {
            match socket {
                Some(socket) => self.answer_one(socket, &mut buffer),
                None => std::thread::sleep(LOOK_EVERY),
            }
            self.drop_spent();
            let now = Saved::look(&self.dir, &self.site);
            if now == seen {
                changing = None;
            } else if changing.as_ref() == Some(&now) {
                // The same twice: whoever writes has finished.
                self.reload(&now, &mut held);
                (seen, changing) = (now, None);
            } else {
                changing = Some(now);
            }
        }
    }

    /// Drops what the engine gives back, and says which rules' state could not go over to those that were installed.
    fn drop_spent(&mut self) {
        while let Some(spent) = self.to_engine.spent() {
            let Spent::Rules { before: Some(before), names, .. } = spent else { continue };
            let anew = before.rules().carried(&names).into_iter().filter_map(|carried| match carried {
                Carried::Restarted { rule } => Some(rule),
                Carried::Kept { .. } | Carried::New { .. } | Carried::Gone { .. } => None,
            });
            let anew: Vec<String> = anew.collect();
            if !anew.is_empty() {
                say!("not carried over, for its shape is another: {}", anew.join(", "));
            }
        }
    }

    // ---- operators ----

    fn answer_one(&mut self, socket: &UnixDatagram, buffer: &mut [u8]) {
        let Ok((len, from)) = socket.recv_from(buffer) else { return };
        let answer = match self.take(&buffer[..len]) {
            Ok(said) => json!({ "ok": said }),
            Err(why) => json!({ "error": why }),
        };
        if let Some(path) = from.as_pathname() {
            // Whoever asked may be gone.
            _ = socket.send_to(answer.to_string().as_bytes(), path);
        }
    }

    fn take(&mut self, request: &[u8]) -> Result<String, String> {
        let request: Value = serde_json::from_slice(request).map_err(|e| format!("this is no request: {e}"))?;
        let (action, said) = self.action(&request)?;
        let input = canonical(&Input::Operator(action));
        self.to_engine.push(Control::Input(input)).map_err(|_| "the engine is behind; try again".to_owned())?;
        say!("operator: {said}");
        Ok(said)
    }

    /// Whether the rules have such a mode (`house`, or `guest.m7` where it is kept per zone) with such a value.
    fn mode_there(&self, mode: &str, value: &str) -> Result<(), String> {
        let program = osmose_rules::check(&self.site, &self.rules).program.ok_or("the rules are not known")?;
        program.mode_named(&self.site, mode, value).map(|_| ()).map_err(|why| why.to_string())
    }

    fn action(&self, request: &Value) -> Result<(OperatorAction, String), String> {
        let word = |key: &str| request[key].as_str().ok_or_else(|| format!("`{key}` is missing"));
        let name = |key: &str| word(key).and_then(|w| Name::new(w).ok_or_else(|| format!("`{w}` is too long")));
        let rule_there = |rule: &Name| {
            let names = self.names.lock().map(|n| n.rules.clone()).map_err(|_| "the names are not known".to_owned())?;
            let found = names.iter().any(|n| *rule == **n);
            if found { Ok(()) } else { Err(format!("no rule is called `{rule}`; there are: {}", names.join(", "))) }
        };
        match word("do")? {
            "act" => {
                let device = word("device")?;
                let actuator = self.site.actuator_named(device).ok_or_else(|| {
                    let names = self.site.actuators.iter().map(|a| a.name.as_str());
                    let near = osmose_rules::diag::did_you_mean(device, names);
                    format!(
                        "no device is called `{device}`{}",
                        near.map_or(String::new(), |n| format!("; did you mean `{n}`?"))
                    )
                })?;
                let verb = name("command")?;
                let kind = self.site.actuators[actuator.index()].kind;
                let known: Vec<&str> = kind.verbs().iter().map(|v| v.verb).chain(["set"]).collect();
                if !known.iter().any(|v| verb == **v) {
                    return Err(format!("a {kind} has no command `{verb}`; it has: {}", known.join(", ")));
                }
                let arg = match request["args"].as_object().and_then(|a| a.iter().next()) {
                    None => None,
                    Some((key, value)) => {
                        let key = Name::new(key).ok_or_else(|| format!("`{key}` is too long"))?;
                        Some((key, device_value(value)?))
                    }
                };
                Ok((OperatorAction::Act { actuator, verb, arg }, format!("{device}.{verb}")))
            }
            "rule-off" => {
                let rule = name("rule")?;
                rule_there(&rule)?;
                let for_s = request["for_s"].as_f64().filter(|s| (0.0..=366.0 * 86_400.0).contains(s));
                let length = DurationNs((for_s.ok_or("`for_s` is no length of time")? * 1e9) as i64);
                let until = LogicalNs(self.clock.now().0.saturating_add(length.0));
                let mut because = ReasonText::new();
                word("because")?.chars().for_each(|c| _ = because.try_push(c));
                let said = format!("rule {rule} off for {} s: {because}", length.0 / 1_000_000_000);
                Ok((OperatorAction::RuleOff { rule, until, because }, said))
            }
            "mode" => {
                let (mode, value) = (name("mode")?, name("value")?);
                self.mode_there(mode.as_str(), value.as_str())?;
                Ok((OperatorAction::Mode { mode, value }, format!("mode {mode} = {value}")))
            }
            "reset" => {
                let rule = name("rule")?;
                rule_there(&rule)?;
                Ok((OperatorAction::Reset { rule }, format!("reset {rule}")))
            }
            other => Err(format!("`{other}` cannot be done")),
        }
    }
}

fn device_value(value: &Value) -> Result<DeviceValue, String> {
    match value {
        Value::Number(n) => n.as_f64().map(DeviceValue::Number).ok_or_else(|| "this number cannot be".to_owned()),
        Value::Bool(yes) => Ok(DeviceValue::Bool(*yes)),
        Value::String(text) => Name::new(text).map(DeviceValue::Name).ok_or_else(|| format!("`{text}` is too long")),
        other => Err(format!("{other} is no value of a device")),
    }
}

fn canonical(input: &Input<'_>) -> OwnedInput {
    let mut bytes = vec![0; INPUT_BYTES_MAX];
    // Rules files may be larger than any other input: room is made until they fit.
    loop {
        match canon::encode_input(input, &mut bytes) {
            Ok(len) => {
                bytes.truncate(len);
                return OwnedInput(bytes);
            }
            Err(_) => bytes.resize(bytes.len() * 2, 0),
        }
    }
}

fn bind(dir: &Path) -> std::io::Result<UnixDatagram> {
    let path = dir.join(SOCKET);
    // What a dead engine left behind: the folder itself is locked by the living one.
    _ = std::fs::remove_file(&path);
    let socket = UnixDatagram::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    socket.set_read_timeout(Some(LOOK_EVERY))?;
    Ok(socket)
}

/// Where a running engine's socket is looked for.
#[derive(clap::Args)]
pub(crate) struct Where {
    /// The site's folder
    pub(crate) site: PathBuf,
    /// The state folder that the engine runs on [default: SITE/.osmose]
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
}

/// Asks the engine that runs a site, and gives its answer.
pub(crate) fn ask(at: &Where, request: &Value) -> Result<String, Failure> {
    let dir = at.state.clone().unwrap_or_else(|| at.site.join(".osmose"));
    let path = dir.join(SOCKET);
    let own = dir.join(format!("ask-{}.sock", std::process::id()));
    let cannot = |e: std::io::Error| {
        Failure::found(format!("no engine answers at {}: {e}. Is `osmose run` running on this site?", path.display()))
    };
    let socket = UnixDatagram::bind(&own).map_err(cannot)?;
    let asked = || -> std::io::Result<Vec<u8>> {
        std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o600))?;
        socket.set_read_timeout(Some(ANSWER_WITHIN))?;
        socket.send_to(request.to_string().as_bytes(), &path)?;
        let mut answer = vec![0; REQUEST_BYTES_MAX];
        let len = socket.recv(&mut answer)?;
        answer.truncate(len);
        Ok(answer)
    };
    let answer = asked();
    _ = std::fs::remove_file(&own);
    let answer: Value = serde_json::from_slice(&answer.map_err(cannot)?).map_err(Failure::found)?;
    match (answer["ok"].as_str(), answer["error"].as_str()) {
        (Some(said), _) => Ok(said.to_owned()),
        (None, why) => Err(Failure::found(why.unwrap_or("the engine gave no answer"))),
    }
}
