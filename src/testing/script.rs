//! A `test` block as a script: facts with their instants, inputs that are no facts of the building, expectations.
//!
//! | step | what it says |
//! |---|---|
//! | `at 0 s ben in m7`, `at 0 s ben:staff in m7` | a known person, or anybody under a name of the test's own, is there |
//! | `at 5 s ben is outside`, `at 5 s ben is lost`, `... is found` | he is in no zone; is not seen any more; is seen again |
//! | `at 0 s fire-panel is active`, `at 0 s lux-1 = 40 lx`, `at 0 s lux-1 is dead` | a sensor says so |
//! | `at 1 s reader reads ana`, `... reads known`, `gate crosses in`, `desk presses call`, `ana waves` | what happens at a sensor |
//! | `at 0 s m7.recorder is recording`, `at 0 s m7.light.level = 30 %` | a device reports it |
//! | `at 0 s time = 22:00`, `at 0 s house = away`, `at 9 s fire = reset` | the clock; a mode; an operator's reset |
//! | `at 5 s engine is down`, `at 65 s engine is up` | it is killed, and started again where it stopped |
//! | `expect m7.recorder.pause(reason: "Ben left") at 5 s +- 1 ms` | a command of the rule, then (or `within 2 s` of the last fact) |
//! | `expect m7.light.level = 30 % within 1 s` | the same by the property that it sets |
//! | `expect nothing for 10 s`, `expect nothing else` | no command in that time after the last fact; none but those expected |

use super::world::Fact;
use osmose_model::command::Value;
use osmose_model::device::SensorKind;
use osmose_model::ids::{ActuatorId, CarriedKey, Name, SensorId, TrackId};
use osmose_model::observation::Direction;
use osmose_model::site::Site;
use osmose_model::time::{DurationNs, NS_PER_S};
use osmose_model::tri::Tri;
use osmose_model::world::Reading;
use osmose_rules::Program;
use osmose_rules::diag::did_you_mean;
use osmose_rules::program::NoSuchMode;
use osmose_rules::syntax::{SyntaxKind, SyntaxNode};

/// A step of a test that feeds something in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Given {
    /// Since the test began.
    pub(crate) at: DurationNs,
    pub(crate) feed: Feed,
    /// As written, for people.
    pub(crate) text: String,
}

/// What a test feeds in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Feed {
    Fact(Fact),
    Report(ActuatorId, Name, Value),
    /// Since midnight.
    Clock(DurationNs),
    Mode(Name, Name),
    Reset(Name),
    /// The engine is killed, or started again with the state that it had.
    Engine(bool),
}

/// A command that is expected, as written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    /// `m7.recorder`
    pub(crate) device: String,
    pub(crate) what: What,
    pub(crate) when: When,
    /// As written, for people.
    pub(crate) text: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    /// A command, with the arguments that are named.
    Verb(String, Vec<(String, String)>),
    /// A property set to a value.
    Property(String, String),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum When {
    Any,
    /// At this time of the test, or of the trace's day, give or take.
    At(Instant, DurationNs),
    /// In this span of the test.
    Span(DurationNs, DurationNs),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Instant {
    Since(DurationNs),
    TimeOfDay(DurationNs),
}

/// What a test expects.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expect {
    Command(Wanted),
    /// Nothing in this span of the test.
    NothingIn(DurationNs, DurationNs),
    NothingElse,
}

/// A stretch of a trace.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cut {
    pub(crate) trace: String,
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
}

/// A test, ready to run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Script {
    pub(crate) title: String,
    pub(crate) rule: String,
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) feeds: Vec<Given>,
    pub(crate) cut: Option<Cut>,
    pub(crate) expects: Vec<Expect>,
    /// What in it cannot be read, each with its line; it is not run then.
    pub(crate) unreadable: Vec<String>,
}

/// A word of a step, and whether it was a text in quotes.
#[derive(Clone, Debug, PartialEq)]
struct Word {
    text: String,
    quoted: bool,
}

fn words(node: &SyntaxNode) -> Vec<Word> {
    let tokens = node.descendants_with_tokens().filter_map(|e| e.into_token()).filter(|t| !t.kind().is_trivia());
    tokens
        .map(|t| {
            let quoted = t.kind() == SyntaxKind::STRING;
            Word { text: osmose_rules::syntax::ast::unquoted(t.text()), quoted }
        })
        .collect()
}

/// Reads the tests of a file. What cannot be read stands in the test that it is of; what stands outside of all tests, in
/// one of its own, called after the file.
pub(crate) fn scripts(site: &Site, program: &Program, path: &str, text: &str) -> Vec<Script> {
    let parse = osmose_rules::parse(path, text);
    let root = parse.syntax();
    let mut wrong = parse.diagnostics;
    let mut all: Vec<Script> = Vec::new();
    for node in root.children().filter(|n| n.kind() == SyntaxKind::TEST) {
        let span = osmose_rules::syntax::ast::span_of(&node);
        let (own, others): (Vec<_>, Vec<_>) =
            wrong.into_iter().partition(|d| span.start <= d.span.start && d.span.start <= span.end);
        wrong = others;
        let mut script = script(site, program, path, text, &node);
        if !own.is_empty() {
            // What the parser could not read says more than what is left of it.
            script.unreadable = own.iter().map(|d| d.render(text, false)).collect();
        }
        all.push(script);
    }
    if !wrong.is_empty() {
        let unreadable = wrong.iter().map(|d| d.render(text, false)).collect();
        all.push(Script { title: path.to_owned(), file: path.to_owned(), line: 1, unreadable, ..Script::default() });
    }
    all
}

fn script(site: &Site, program: &Program, path: &str, text: &str, node: &SyntaxNode) -> Script {
    let line_of =
        |node: &SyntaxNode| osmose_rules::diag::line_column(text, osmose_rules::syntax::ast::span_of(node).start).0;
    let mut script = Script { file: path.to_owned(), line: line_of(node), ..Script::default() };
    let head: Vec<Word> = node
        .children_with_tokens()
        .filter_map(|e| e.into_token())
        .filter(|t| t.kind() == SyntaxKind::STRING)
        .map(|t| Word { text: osmose_rules::syntax::ast::unquoted(t.text()), quoted: true })
        .collect();
    script.title = head.first().map(|w| w.text.clone()).unwrap_or_default();
    let name = node.children().find(|n| n.kind() == SyntaxKind::NAME);
    script.rule = name.and_then(|n| words(&n).first().map(|w| w.text.clone())).unwrap_or_default();
    let mut people = People::default();
    let mut last = DurationNs::ZERO;
    for step in node.children() {
        let at = |why: String| format!("{path}:{}: {why}", line_of(&step));
        let all = words(&step);
        let behind = all.get(1..).unwrap_or_default();
        match step.kind() {
            SyntaxKind::TEST_AT => {
                let Some((when, rest)) = length(behind) else {
                    script.unreadable.push(at("expected a time, as in `at 5 s`".into()));
                    continue;
                };
                last = when;
                match feed(site, program, &mut people, rest) {
                    Ok(feed) => script.feeds.push(Given { at: when, feed, text: written(rest) }),
                    Err(why) => script.unreadable.push(at(why)),
                }
            }
            SyntaxKind::TEST_EXPECT => match expect(behind, last) {
                Ok(expect) => script.expects.push(expect),
                Err(why) => script.unreadable.push(at(why)),
            },
            SyntaxKind::TEST_REPLAY => {
                let text = |i: usize| all.get(i).map(|w| w.text.clone());
                let cut = Cut { trace: text(1).unwrap_or_default(), from: text(2), to: text(4) };
                script.cut = Some(cut);
            }
            _ => {}
        }
    }
    script
}

/// Who the test's names are: known people by their own, others by a track of their own.
#[derive(Default)]
struct People {
    names: Vec<String>,
}

impl People {
    fn track(&mut self, name: &str) -> TrackId {
        let at = self.names.iter().position(|n| n == name).unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        TrackId(at as u64 + 1)
    }
}

/// `5 s`, and what stands behind it.
fn length(words: &[Word]) -> Option<(DurationNs, &[Word])> {
    let [number, unit, rest @ ..] = words else { return None };
    let unit_ns: i64 = match unit.text.as_str() {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => NS_PER_S,
        "min" => 60 * NS_PER_S,
        "h" => 3600 * NS_PER_S,
        _ => return None,
    };
    let billionths = osmose_model::time::parse_decimal_ns(&number.text, 0).ok()?;
    i64::try_from(i128::from(billionths) * i128::from(unit_ns) / i128::from(NS_PER_S))
        .ok()
        .map(|ns| (DurationNs(ns), rest))
}

fn time_of_day(text: &str) -> Option<DurationNs> {
    let mut parts = text.split(':');
    let (hours, minutes): (i64, i64) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let seconds = osmose_model::time::parse_decimal_ns(parts.next().unwrap_or("0"), 0).ok()?;
    Some(DurationNs((hours * 60 + minutes) * 60 * NS_PER_S + seconds))
}

/// The path before `is` or `=`, which of them, and the words behind.
fn statement(words: &[Word]) -> Option<(String, bool, &[Word])> {
    let at = words.iter().position(|w| !w.quoted && matches!(w.text.as_str(), "is" | "="))?;
    let path = words[..at].iter().map(|w| w.text.as_str()).collect::<String>();
    Some((path, words[at].text == "is", &words[at + 1..]))
}

fn feed(site: &Site, program: &Program, people: &mut People, words: &[Word]) -> Result<Feed, String> {
    let text = |i: usize| words.get(i).map_or("", |w| w.text.as_str());
    let groups = || site.groups.iter().map(|g| g.name.as_str());
    let persons = || site.people.iter().map(|p| p.name.as_str());
    // `ben:staff in m7`: the group is for people who read it; it has to be right.
    let (who, rest) = match text(1) {
        ":" => (text(0), 3),
        _ => (text(0), 1),
    };
    if rest == 3 {
        let group = site.group_named(text(2)).ok_or_else(|| unknown("group", text(2), groups()))?;
        let person = site.person_named(who).ok_or_else(|| unknown("person", who, persons()))?;
        if !site.groups[group.index()].members.contains(&person) {
            return Err(format!("{who} does not belong to {}", text(2)));
        }
    }
    match (text(rest), text(rest + 1)) {
        ("in", zone) => {
            let zones = || site.zones.iter().map(|z| z.name.as_str());
            let zone = site.zone_named(zone).ok_or_else(|| unknown("zone", zone, zones()))?;
            return Ok(Feed::Fact(Fact::At(people.track(who), site.person_named(who), Some(zone))));
        }
        ("is", "outside") => return Ok(Feed::Fact(Fact::At(people.track(who), site.person_named(who), None))),
        ("is", "lost") => return Ok(Feed::Fact(Fact::Lost(people.track(who)))),
        ("is", "found") => return Ok(Feed::Fact(Fact::Found(people.track(who)))),
        _ => {}
    }
    if let Some(fact) = happening(site, people, words)? {
        return Ok(Feed::Fact(fact));
    }
    let (path, is, value) = statement(words).ok_or("expected `WHO in ZONE`, `THING is STATE` or `THING = VALUE`")?;
    let said = value.first().map_or("", |w| w.text.as_str());
    if path == "engine" {
        return match said {
            "down" => Ok(Feed::Engine(false)),
            "up" => Ok(Feed::Engine(true)),
            _ => Err("the engine is `down` or `up`".to_owned()),
        };
    }
    if path == "time" {
        let at = time_of_day(said).ok_or_else(|| format!("`{said}` is no time of day"))?;
        return Ok(Feed::Clock(at));
    }
    if let Some(sensor) = site.sensor_named(&path) {
        return reading(site, sensor, said).map(Feed::Fact);
    }
    if let Some((device, property)) = device_property(site, &path, is) {
        let value = value_of(said, value).ok_or_else(|| format!("`{said}` is too long"))?;
        return Ok(Feed::Report(device, property, value));
    }
    inside(site, program, &path, said)
}

/// `fire = reset`, `house = away`, `guests.m7 = on`: what is no part of the building.
fn inside(site: &Site, program: &Program, path: &str, said: &str) -> Result<Feed, String> {
    let too_long = || format!("`{path} = {said}` is too long");
    let (Some(name), Some(value)) = (Name::new(path), Name::new(said)) else { return Err(too_long()) };
    if said == "reset" && program.rule_named(path).is_some() {
        return Ok(Feed::Reset(name));
    }
    match program.mode_named(site, path, said) {
        Ok(_) => return Ok(Feed::Mode(name, value)),
        // Not a mode, then: what else it may have been meant for is told below.
        Err(NoSuchMode::Name { .. }) => {}
        Err(why) => return Err(why.to_string()),
    }
    let sensors = site.sensors.iter().map(|s| s.name.as_str());
    let known = sensors.chain(site.actuators.iter().map(|a| a.name.as_str()));
    let known = known.chain(program.modes().iter().map(|m| m.name.as_str()));
    Err(unknown("sensor, device or mode", path, known))
}

/// `no zone is called x`, with what may have been meant.
fn unknown<'n>(sort: &str, name: &str, known: impl Iterator<Item = &'n str>) -> String {
    let meant = did_you_mean(name, known).map_or(String::new(), |m| format!("; did you mean `{m}`?"));
    format!("no {sort} is called `{name}`{meant}")
}

/// `gate crosses in`, `reader reads ana`, `desk presses call`, `ana waves`, `ana makes thumbs-up`.
fn happening(site: &Site, people: &mut People, words: &[Word]) -> Result<Option<Fact>, String> {
    const VERBS: [(&str, SensorKind); 5] = [
        ("crosses", SensorKind::Crossing),
        ("reads", SensorKind::Badge),
        ("presses", SensorKind::Button),
        ("waves", SensorKind::Gesture),
        ("makes", SensorKind::Gesture),
    ];
    let verb_of = |w: &Word| VERBS.iter().find(|(verb, _)| !w.quoted && w.text == *verb);
    let Some((at, (verb, kind))) = words.iter().enumerate().find_map(|(at, w)| Some((at, verb_of(w)?))) else {
        return Ok(None);
    };
    let subject: String = words[..at].iter().map(|w| w.text.as_str()).collect();
    let object: String = words[at + 1..].iter().map(|w| w.text.as_str()).collect();
    let name = |word: &str| Name::new(word).ok_or_else(|| format!("`{word}` is too long"));
    if *kind == SensorKind::Gesture {
        let camera = site.sensors.iter().find(|s| s.kind == *kind).ok_or("no sensor of this site sees gestures")?;
        let gesture = name(if *verb == "waves" { "wave" } else { &object })?;
        let reading = Reading::Gesture { gesture, track: Some(people.track(&subject)), track_p: 1.0 };
        return Ok(Some(Fact::Reads(camera.id, reading)));
    }
    let sensor = site.sensor_named(&subject).ok_or_else(|| {
        let sensors = site.sensors.iter().filter(|s| s.kind == *kind);
        unknown("sensor", &subject, sensors.map(|s| s.name.as_str()))
    })?;
    if site.sensors[sensor.index()].kind != *kind {
        return Err(format!("`{subject}` is no {kind} sensor"));
    }
    let reading = match (*verb, object.as_str()) {
        ("crosses", "in") => Reading::Crossing(Direction::In),
        ("crosses", "out") => Reading::Crossing(Direction::Out),
        ("crosses", _) => return Err("expected `in` or `out`".to_owned()),
        ("reads", who) => {
            let person = match who {
                "unknown" => None,
                "known" => site.people.first().map(|p| p.id),
                who => Some(
                    site.person_named(who)
                        .ok_or_else(|| unknown("person", who, site.people.iter().map(|p| p.name.as_str())))?,
                ),
            };
            Reading::Badge { badge: CarriedKey::of(who), person }
        }
        _ => Reading::Button(name(&object)?),
    };
    Ok(Some(Fact::Reads(sensor, reading)))
}

fn device_property(site: &Site, path: &str, is: bool) -> Option<(ActuatorId, Name)> {
    if let (Some(device), true) = (site.actuator_named(path), is) {
        return Some((device, Name::new("state")?));
    }
    let (device, property) = path.rsplit_once('.')?;
    Some((site.actuator_named(device)?, Name::new(property)?))
}

fn value_of(said: &str, words: &[Word]) -> Option<Value> {
    let number = said.parse::<f64>().ok().filter(|_| !words.first().is_some_and(|w| w.quoted));
    Some(match number {
        Some(number) => Value::Number(number),
        None => Value::Name(Name::new(said)?),
    })
}

fn reading(site: &Site, sensor: SensorId, said: &str) -> Result<Fact, String> {
    let kind = site.sensors[sensor.index()].kind;
    match (kind, said) {
        (_, "alive") => return Ok(Fact::Alive(sensor, Tri::True)),
        (_, "dead") => return Ok(Fact::Alive(sensor, Tri::False)),
        (_, "unknown") => return Ok(Fact::Alive(sensor, Tri::Unknown)),
        (SensorKind::Binary, "active" | "on" | "open" | "triggered" | "pressed") => {
            return Ok(Fact::Reads(sensor, Reading::Switch(true)));
        }
        (SensorKind::Binary, "inactive" | "off" | "closed" | "quiet" | "released") => {
            return Ok(Fact::Reads(sensor, Reading::Switch(false)));
        }
        (SensorKind::Button, _) => {
            let button = Name::new(said).ok_or_else(|| format!("`{said}` is too long"))?;
            return Ok(Fact::Reads(sensor, Reading::Button(button)));
        }
        _ => {}
    }
    match (kind, said.parse::<f64>()) {
        (SensorKind::Value, Ok(value)) => Ok(Fact::Reads(sensor, Reading::Quantity(value))),
        (SensorKind::Count, Ok(value)) if value >= 0.0 => Ok(Fact::Reads(sensor, Reading::People(value as u32))),
        _ => Err(format!("a {kind} sensor never says `{said}`")),
    }
}

fn expect(words: &[Word], last: DurationNs) -> Result<Expect, String> {
    let is = |i: usize, word: &str| words.get(i).is_some_and(|w| !w.quoted && w.text == word);
    if is(0, "nothing") {
        if is(1, "else") || words.len() == 1 {
            return Ok(Expect::NothingElse);
        }
        let (time, _) = length(&words[2..]).ok_or("expected a length of time, as in `expect nothing for 10 s`")?;
        return Ok(Expect::NothingIn(last, DurationNs(last.0.saturating_add(time.0))));
    }
    // The clause that says when stands outside of all brackets.
    let mut depth = 0_i32;
    let end = words.iter().position(|w| {
        depth += i32::from(!w.quoted && w.text == "(") - i32::from(!w.quoted && w.text == ")");
        depth == 0 && !w.quoted && matches!(w.text.as_str(), "at" | "within" | "for")
    });
    let (command, clause) = words.split_at(end.unwrap_or(words.len()));
    let when = match clause {
        [] => When::Any,
        [word, rest @ ..] if word.text == "at" => {
            at_clause(rest).ok_or("expected `at 5 s` or `at 10:02:14.3 +- 1 ms`")?
        }
        [_, rest @ ..] => {
            let (time, _) = length(rest).ok_or("expected a length of time behind `within`")?;
            When::Span(last, DurationNs(last.0.saturating_add(time.0)))
        }
    };
    wanted(command, when).map(Expect::Command)
}

fn at_clause(words: &[Word]) -> Option<When> {
    let (instant, rest) = match words.first().and_then(|w| time_of_day(&w.text)).filter(|_| words[0].text.contains(':'))
    {
        Some(time) => (Instant::TimeOfDay(time), &words[1..]),
        None => length(words).map(|(at, rest)| (Instant::Since(at), rest))?,
    };
    let tolerance = match rest {
        [sign, more @ ..] if sign.text == "+-" => length(more)?.0,
        _ => DurationNs::from_ms(1),
    };
    Some(When::At(instant, tolerance))
}

/// Words as they stood in the file, one space apart where people write one.
fn written(words: &[Word]) -> String {
    let quote = |w: &Word| if w.quoted { format!("{:?}", w.text) } else { w.text.clone() };
    let text = words.iter().map(quote).collect::<Vec<_>>().join(" ");
    text.replace(" . ", ".").replace(" ( ", "(").replace(" )", ")").replace(" : ", ": ").replace(" ,", ",")
}

fn wanted(words: &[Word], when: When) -> Result<Wanted, String> {
    let text = written(words);
    let split = |path: &str| path.rsplit_once('.').map(|(d, w)| (d.to_owned(), w.to_owned()));
    let wrong = || "expected `DEVICE.COMMAND(...)` or `DEVICE.PROPERTY = VALUE`".to_owned();
    if let Some((path, false, value)) = statement(words) {
        let (device, property) = split(&path).ok_or_else(wrong)?;
        let value = value.first().map(|w| w.text.clone()).unwrap_or_default();
        return Ok(Wanted { device, what: What::Property(property, value), when, text });
    }
    let open = words.iter().position(|w| !w.quoted && w.text == "(").unwrap_or(words.len());
    let path: String = words[..open].iter().map(|w| w.text.as_str()).collect();
    let (device, verb) = split(&path).ok_or_else(wrong)?;
    let inside = words.get(open + 1..words.len().saturating_sub(1)).unwrap_or_default();
    let args = inside.split(|w| !w.quoted && w.text == ",").filter(|a| a.len() >= 3 && a[1].text == ":");
    let args = args.map(|a| (a[0].text.clone(), a[2].text.clone())).collect();
    Ok(Wanted { device, what: What::Verb(verb, args), when, text })
}
