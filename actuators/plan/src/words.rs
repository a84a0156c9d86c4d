//! The vocabulary of devices: which command gives a property a value, and which properties a command changes.
//!
//! Rules hold *properties* (`state = paused`), devices take *commands* (`pause`). What each kind can be told is
//! declared in [`osmose_model::device`]; this file reads that table in both directions, so that a hold, a default,
//! a manual value and a one-shot command all meet on the same property.

use osmose_model::command::{Args, Command, Value};
use osmose_model::device::{Actuator, ActuatorKind, VerbSpec};
use osmose_model::ids::Name;

/// The property that every kind has: what the device is doing.
pub(crate) const STATE: &str = "state";

/// A door's bolt is moved by two commands and not by a `set`: which one leads to which value of `lock`.
const DOOR_LOCK: [(&str, &str); 2] = [("lock", "locked"), ("unlock", "open")];

/// A command without its envelope.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Order {
    /// Which command.
    pub(crate) verb: Name,
    /// Its arguments, sorted by name.
    pub(crate) args: Args,
}

/// A word of the tables above as a [`Name`]; they are all short enough (a test holds them to it).
fn name(word: &str) -> Name {
    Name::new(word).unwrap_or_default()
}

/// The word that a value is, if it is one.
pub(crate) fn word(value: &Value) -> Option<&str> {
    match value {
        Value::Name(n) => Some(n.as_str()),
        Value::Text(t) => Some(t.as_str()),
        _ => None,
    }
}

/// Whether two values are the same for a device: a word is the same word whether written as name or text.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (word(a), word(b)) {
        (Some(x), Some(y)) => x == y,
        _ => a == b,
    }
}

/// Whether a command explains a report: the same value, or a number that the device rounded
/// (to within half a unit or 1 %, whichever is more).
pub(crate) fn explains(sent: &Value, reported: &Value) -> bool {
    match (sent, reported) {
        (Value::Number(a), Value::Number(b)) => (a - b).abs() <= (0.01 * a.abs()).max(0.5),
        _ => same(sent, reported),
    }
}

/// Whether a value may enter state: numbers must be finite.
pub(crate) fn is_sound(value: &Value) -> bool {
    !matches!(value, Value::Number(x) if !x.is_finite())
}

/// Where a property stands among its kind's.
pub(crate) fn property_index(kind: ActuatorKind, property: &str) -> Option<usize> {
    kind.properties().iter().position(|p| p.property == property)
}

/// The property that is really meant: a display whose `state` is to be a page shows that page.
pub(crate) fn meant<'a>(kind: ActuatorKind, property: &'a str, value: &Value) -> &'a str {
    let is_page = |w: &str| kind.verb_to(w).is_none();
    match (kind, property, word(value)) {
        (ActuatorKind::Display, STATE, Some(w)) if is_page(w) => "page",
        _ => property,
    }
}

/// The command that gives a property a value.
pub(crate) fn order_for(kind: ActuatorKind, property: &str, value: &Value) -> Order {
    let plain = |verb: &str| Order { verb: name(verb), args: Args::new() };
    if let (STATE, Some(verb)) = (property, word(value).and_then(|w| kind.verb_to(w))) {
        return plain(verb.verb);
    }
    if kind == ActuatorKind::Door
        && property == "lock"
        && let Some((verb, _)) = DOOR_LOCK.iter().find(|(_, to)| word(value) == Some(to))
    {
        return plain(verb);
    }
    let setter = kind.verbs().iter().find(|v| v.sets == Some(property)).map_or("set", |v| v.verb);
    let mut args = Args::new();
    args.push((name(property), *value));
    Order { verb: name(setter), args }
}

fn spec(kind: ActuatorKind, verb: &str) -> Option<&'static VerbSpec> {
    kind.verbs().iter().find(|v| v.verb == verb)
}

/// The `state` that a command leads to, if it leads to one.
pub(crate) fn leads_to(kind: ActuatorKind, verb: &str) -> Option<&'static str> {
    spec(kind, verb).and_then(|v| v.leads_to)
}

/// What a command does to property number `index` of its device: the value it gives it, if it gives it one.
/// An argument named after a property sets it; `state` is set by where the command leads.
pub(crate) fn outcome(kind: ActuatorKind, index: usize, verb: &str, args: &Args) -> Option<Value> {
    let property = kind.properties().get(index)?.property;
    if property == STATE
        && let Some(to) = leads_to(kind, verb)
    {
        return Some(Value::Name(name(to)));
    }
    if kind == ActuatorKind::Door
        && property == "lock"
        && let Some((_, to)) = DOOR_LOCK.iter().find(|(v, _)| *v == verb)
    {
        return Some(Value::Name(name(to)));
    }
    args.iter().find(|(n, v)| *n == property && is_sound(v)).map(|(_, v)| *v)
}

/// What goes to a device in place of a command that is too late: the one that leads to its declared safe state, under the
/// late one's own number and cause. `None` where the device declares no safe state.
#[must_use]
pub fn fail_safe(device: &Actuator, late: &Command) -> Option<Command> {
    let Order { verb, args } = order_for(device.kind, STATE, &Value::Name(device.safe?));
    Some(Command { verb, args, ..late.clone() })
}

/// Whether a command is the one that a device calls its safe one: it leads to the safe state, or shows the safe page.
pub(crate) fn is_safe(kind: ActuatorKind, safe: Option<Name>, verb: &str, args: &Args) -> bool {
    let Some(safe) = safe else { return false };
    let value = Value::Name(safe);
    let Some(index) = property_index(kind, meant(kind, STATE, &value)) else { return false };
    outcome(kind, index, verb, args).is_some_and(|v| same(&v, &value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_words_are_names_and_every_door_command_is_declared() {
        for &kind in ActuatorKind::ALL {
            for v in kind.verbs() {
                assert!(Name::new(v.verb).is_some());
                assert!(v.leads_to.is_none_or(|w| Name::new(w).is_some()));
            }
            assert!(kind.properties().iter().all(|p| Name::new(p.property).is_some()));
            assert_eq!(property_index(kind, STATE), Some(0));
        }
        for (verb, to) in DOOR_LOCK {
            assert!(spec(ActuatorKind::Door, verb).is_some());
            let lock = property_index(ActuatorKind::Door, "lock").expect("doors have a lock");
            assert!(ActuatorKind::Door.properties()[lock].words.contains(&to));
        }
    }

    #[test]
    fn properties_become_commands() {
        let order = |kind, property, value: Value| {
            let o = order_for(kind, meant(kind, property, &value), &value);
            let args: Vec<String> = o.args.iter().map(|(n, v)| format!("{n}={v:?}")).collect();
            format!("{}({})", o.verb, args.join(","))
        };
        let w = |s: &str| Value::Name(Name::new(s).unwrap());
        use ActuatorKind as K;
        assert_eq!(order(K::Recorder, "state", w("paused")), "pause()");
        assert_eq!(order(K::Recorder, "state", w("recording")), "start()");
        assert_eq!(order(K::Light, "state", w("off")), "off()");
        assert_eq!(order(K::Light, "level", Value::Number(80.0)), "set(level=Number(80.0))");
        assert_eq!(order(K::Light, "colour", Value::Number(2700.0)), "set(colour=Number(2700.0))");
        assert_eq!(order(K::Hvac, "airflow", w("boost")), "set(airflow=Name(\"boost\"))");
        assert_eq!(order(K::Display, "state", w("menu")), "show(page=Name(\"menu\"))");
        assert_eq!(order(K::Display, "state", w("blank")), "blank()");
        assert_eq!(order(K::Display, "page", w("evacuate")), "show(page=Name(\"evacuate\"))");
        assert_eq!(order(K::Speaker, "cell", w("c3")), "aim(cell=Name(\"c3\"))");
        assert_eq!(order(K::Speaker, "volume", Value::Number(0.0)), "set(volume=Number(0.0))");
        assert_eq!(order(K::Door, "lock", w("open")), "unlock()");
        assert_eq!(order(K::Door, "state", w("closed")), "close()");
    }

    #[test]
    fn every_order_has_the_outcome_that_it_is_for() {
        for &kind in ActuatorKind::ALL {
            for (i, p) in kind.properties().iter().enumerate() {
                let numbers = p.unit.map(|_| Value::Number(42.0));
                let words = p.words.iter().map(|w| Value::Name(Name::new(w).unwrap()));
                for value in words.chain(numbers) {
                    let Order { verb, args } = order_for(kind, p.property, &value);
                    let got = outcome(kind, i, verb.as_str(), &args);
                    assert!(got.is_some_and(|g| same(&g, &value)), "{kind}.{} = {value:?}: {verb}", p.property);
                }
            }
        }
    }

    #[test]
    fn the_safe_command_is_known_by_where_it_leads() {
        let paused = Name::new("paused");
        assert!(is_safe(ActuatorKind::Recorder, paused, "pause", &Args::new()));
        assert!(!is_safe(ActuatorKind::Recorder, paused, "start", &Args::new()));
        assert!(!is_safe(ActuatorKind::Recorder, None, "pause", &Args::new()));
        let evacuate = Value::Text("evacuate".try_into().unwrap());
        let order = order_for(ActuatorKind::Display, "page", &evacuate);
        assert!(is_safe(ActuatorKind::Display, Name::new("evacuate"), order.verb.as_str(), &order.args));
        assert!(!is_safe(ActuatorKind::Display, Name::new("menu"), order.verb.as_str(), &order.args));
    }

    #[test]
    fn a_rounded_report_is_explained_and_a_hand_at_the_dimmer_is_not() {
        assert!(explains(&Value::Number(80.0), &Value::Number(80.39)));
        assert!(explains(&Value::Number(2700.0), &Value::Number(2720.0)));
        assert!(!explains(&Value::Number(80.0), &Value::Number(50.0)));
    }
}
