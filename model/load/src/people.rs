//! `people.toml`: who is known, what they carry, and their groups.

use crate::doc::{Doc, Fields};
use crate::fault::{Faults, Spot};
use crate::settings::{Settings, toml_attribute, wanted};
use crate::text::{Source, propose, shown};
use osmose_model::device::Normalise;
use osmose_model::ids::{CarriedKey, GroupId, PersonId};
use osmose_model::limits::CARRIED_BYTES_MAX;
use osmose_model::site::{Attribute, Group, Person};
use std::collections::BTreeMap;

/// People and groups, and the ids of what they carry with the line of each.
#[derive(Debug, Default)]
pub(crate) struct People {
    pub(crate) people: Vec<Person>,
    pub(crate) groups: Vec<Group>,
    carried: Vec<Carried>,
}

/// One carried device or badge as it is written.
#[derive(Debug)]
struct Carried {
    id: String,
    owner: PersonId,
    is_badge: bool,
    spot: Spot,
}

/// The three tables of carried things, ascending by key.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    pub(crate) devices: Vec<(CarriedKey, PersonId)>,
    pub(crate) badges: Vec<(CarriedKey, PersonId)>,
    pub(crate) names: Vec<(CarriedKey, String)>,
}

/// Reads people.toml.
pub(crate) fn read(source: &Source<'_>, settings: &Settings, faults: &mut Faults) -> People {
    let doc = Doc::parse(source, faults);
    let mut root = doc.fields();
    let mut out = People::default();
    let order: Vec<&str> = root.strings(faults, "order").into_iter().map(|(name, _)| name).collect();
    let mut persons = root.tables(faults, "person");
    let mut groups = root.tables(faults, "group");
    root.finish(faults, &[]);
    if persons.len() > usize::from(u16::MAX) || groups.len() > usize::from(u16::MAX) {
        let message = format!(
            "There are {} people and {} groups; {} of each are the most.",
            persons.len(),
            groups.len(),
            u16::MAX
        );
        faults.error("too-many-people", &Spot::file(source.path), "", message, "Leave out who never comes.");
        return out;
    }
    // Groups are named by people, so they are numbered first; their members are looked up last.
    let mut group_ids: BTreeMap<String, (GroupId, Spot)> = BTreeMap::new();
    for t in &mut groups {
        out.group(t, &mut group_ids, faults);
    }
    let mut person_ids: BTreeMap<String, (PersonId, Spot)> = BTreeMap::new();
    // Numbers follow `order`, then the file. A running engine writes it when people are saved anew, so that whoever was
    // known before keeps their number; who is not in the file any more is a name without anything.
    let name_of = |t: &Fields<'_>| t.peek("id").and_then(|id| id.as_str()).unwrap_or_default().to_owned();
    for name in &order {
        match persons.iter().position(|t| name_of(t) == *name) {
            Some(at) => out.person(persons.remove(at), &group_ids, &mut person_ids, settings, faults),
            None => out.gone(name),
        }
    }
    for t in persons {
        out.person(t, &group_ids, &mut person_ids, settings, faults);
    }
    for mut t in groups {
        out.members(&mut t, &group_ids, &person_ids, faults);
        t.finish(faults, &[]);
    }
    for person in &mut out.people {
        person.groups.sort_unstable();
        person.groups.dedup();
        for group in &person.groups {
            out.groups[group.index()].members.push(person.id);
        }
    }
    out
}

/// Takes an id; a fault where another has it already.
fn take_id<I: Copy>(
    sort: &str,
    name: &str,
    id: I,
    spot: &Spot,
    ids: &mut BTreeMap<String, (I, Spot)>,
    faults: &mut Faults,
) {
    if let Some((_, first)) = ids.insert(name.to_owned(), (id, spot.clone())) {
        let message = format!("Two {sort} have the id `{}`; the other is at {first}.", shown(name));
        faults.error("duplicate-id", spot, name, message, "Give one of them another id.");
    }
}

impl People {
    fn group(&mut self, t: &mut Fields<'_>, ids: &mut BTreeMap<String, (GroupId, Spot)>, faults: &mut Faults) {
        let Some((name, spot)) = t.required(faults, "id") else { return };
        t.call("group", name);
        let id = GroupId(self.groups.len() as u16);
        take_id("groups", name, id, &spot, ids, faults);
        let folder = t.string(faults, "folder").map(|(f, _)| f.to_owned());
        self.groups.push(Group { id, name: name.to_owned(), folder, members: Vec::new() });
    }

    /// `members` of a group: the same as `groups` of each person, written from the other side.
    fn members(
        &mut self,
        t: &mut Fields<'_>,
        groups: &BTreeMap<String, (GroupId, Spot)>,
        people: &BTreeMap<String, (PersonId, Spot)>,
        faults: &mut Faults,
    ) {
        let group = groups.get(t.name()).map(|(id, _)| *id);
        for (name, spot) in t.strings(faults, "members") {
            match (people.get(name), group) {
                (Some((person, _)), Some(group)) => self.people[person.index()].groups.push(group),
                (None, _) => {
                    let message = format!("The {} has the member `{}`, who is no known person.", t.what(), shown(name));
                    let help = propose(name, people.keys().map(String::as_str), "Add a `[[person]]` with that id.");
                    faults.error("unknown-person", &spot, t.name(), message, help);
                }
                _ => {}
            }
        }
    }

    fn person(
        &mut self,
        mut t: Fields<'_>,
        groups: &BTreeMap<String, (GroupId, Spot)>,
        ids: &mut BTreeMap<String, (PersonId, Spot)>,
        settings: &Settings,
        faults: &mut Faults,
    ) {
        let Some((name, spot)) = t.required(faults, "id") else { return };
        t.call("person", name);
        let id = PersonId(self.people.len() as u16);
        take_id("people", name, id, &spot, ids, faults);
        let mut in_groups = Vec::new();
        for (group, spot) in t.strings(faults, "groups") {
            match groups.get(group) {
                Some((id, _)) => in_groups.push(*id),
                None => {
                    let message =
                        format!("The {} is in the group `{}`, which is not declared.", t.what(), shown(group));
                    let help = propose(group, groups.keys().map(String::as_str), "Add a `[[group]]` with that id.");
                    faults.error("unknown-group", &spot, t.name(), message, help);
                }
            }
        }
        let devices = self.carry(&mut t, "devices", id, faults);
        let badges = self.carry(&mut t, "badges", id, faults);
        let language = t.string(faults, "language").map(|(l, _)| l.to_owned());
        let (attributes, declared) = attributes(&t, settings, faults);
        t.finish(faults, &declared);
        self.people.push(Person {
            id,
            name: name.to_owned(),
            groups: in_groups,
            devices,
            badges,
            language,
            attributes,
        });
    }

    /// Somebody who was known and is not any more.
    fn gone(&mut self, name: &str) {
        let id = PersonId(self.people.len() as u16);
        self.people.push(Person {
            id,
            name: name.to_owned(),
            groups: Vec::new(),
            devices: Vec::new(),
            badges: Vec::new(),
            language: None,
            attributes: BTreeMap::new(),
        });
    }

    fn carry(
        &mut self,
        t: &mut Fields<'_>,
        key: &'static str,
        owner: PersonId,
        faults: &mut Faults,
    ) -> Vec<CarriedKey> {
        let mut keys = Vec::new();
        for (id, spot) in t.strings(faults, key) {
            if id.is_empty() || id.len() > CARRIED_BYTES_MAX {
                let message = format!(
                    "`{key}` of {} has an id of {} bytes; 1 to {CARRIED_BYTES_MAX} are allowed.",
                    t.what(),
                    id.len()
                );
                faults.error(
                    "bad-carried-id",
                    &spot,
                    t.name(),
                    message,
                    "Write the id as the device or reader sends it.",
                );
                continue;
            }
            keys.push(CarriedKey::of(id));
            self.carried.push(Carried { id: id.to_owned(), owner, is_badge: key == "badges", spot });
        }
        keys
    }

    /// Whose every carried id is, as written and in each form that a sensor normalises ids to.
    pub(crate) fn owners(&self, forms: &[Normalise], faults: &mut Faults) -> Owners {
        let mut owners = Owners::default();
        let mut names: BTreeMap<CarriedKey, String> = BTreeMap::new();
        for is_badge in [false, true] {
            let mut table: BTreeMap<CarriedKey, (PersonId, &Carried)> = BTreeMap::new();
            for c in self.carried.iter().filter(|c| c.is_badge == is_badge) {
                let mut texts = vec![c.id.clone()];
                texts.extend(forms.iter().map(|f| f.apply(&c.id).into_owned()).filter(|t| !t.is_empty()));
                for text in texts {
                    let key = CarriedKey::of(&text);
                    match table.get(&key) {
                        Some((owner, first)) if *owner != c.owner => {
                            self.shared(c, first, faults);
                            break;
                        }
                        _ => {
                            table.insert(key, (c.owner, c));
                            names.insert(key, c.id.clone());
                        }
                    }
                }
            }
            let list = if is_badge { &mut owners.badges } else { &mut owners.devices };
            *list = table.into_iter().map(|(key, (owner, _))| (key, owner)).collect();
        }
        owners.names = names.into_iter().collect();
        owners
    }

    fn shared(&self, second: &Carried, first: &Carried, faults: &mut Faults) {
        let (code, sort) = if second.is_badge { ("shared-badge", "badge") } else { ("shared-device", "device") };
        let person = |c: &Carried| self.people.get(c.owner.index()).map_or("", |p| p.name.as_str());
        let message = format!(
            "The {sort} `{}` is `{}`'s and, at {}, `{}`'s.",
            shown(&second.id),
            person(second),
            first.spot,
            person(first)
        );
        faults.error(
            code,
            &second.spot,
            person(second),
            message,
            "One of the two must have another: who comes with it cannot be told.",
        );
    }
}

/// Declared attributes of a person, the others with their defaults, and the keys that this makes known.
fn attributes<'s>(
    t: &Fields<'_>,
    settings: &'s Settings,
    faults: &mut Faults,
) -> (BTreeMap<String, Attribute>, Vec<&'s str>) {
    let mut attributes = BTreeMap::new();
    let mut declared = Vec::new();
    for (key, spec) in settings.attributes.iter().filter(|(_, s)| s.on == "person") {
        declared.push(key.as_str());
        let value = match t.peek(key) {
            None => spec.default.clone(),
            Some(v) => toml_attribute(&spec.kind, v).unwrap_or_else(|| {
                let message =
                    format!("`{key}` of {} is {}, but site.toml declares it as {}.", t.what(), v.describe(), spec.kind);
                faults.error("wrong-type", &v.spot(), t.name(), message, format!("Write {}.", wanted(&spec.kind)));
                spec.default.clone()
            }),
        };
        attributes.insert(key.clone(), value);
    }
    (attributes, declared)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people(text: &str, forms: &[Normalise]) -> (People, Owners, Vec<String>) {
        let mut faults = Faults::default();
        let site = Source::new("site.toml", "[attributes]\nconsents = { on = \"person\", type = \"bool\" }\n");
        let settings = crate::settings::read(&site, &mut faults);
        let source = Source::new("people.toml", text);
        let people = read(&source, &settings, &mut faults);
        let owners = people.owners(forms, &mut faults);
        (people, owners, faults.into_list().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn people_groups_and_what_they_carry() {
        let text = r#"
[[person]]
id = "ana"
groups = ["project-x"]
devices = ["p17"]
badges = ["04:A2"]
language = "en"
consents = true
[[person]]
id = "ben"
[[group]]
id = "project-x"
folder = "specs"
members = ["ben"]
"#;
        let forms = [Normalise { lower: true, alnum: true }];
        let (people, owners, faults) = people(text, &forms);
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(people.groups[0].members, [PersonId(0), PersonId(1)]);
        assert_eq!(people.people[0].attributes["consents"], Attribute::Bool(true));
        assert_eq!(owners.devices, [(CarriedKey::of("p17"), PersonId(0))]);
        let mut badges = vec![(CarriedKey::of("04:A2"), PersonId(0)), (CarriedKey::of("04a2"), PersonId(0))];
        badges.sort_unstable();
        assert_eq!(owners.badges, badges, "a badge is known as written and as readers normalise it");
        assert_eq!(owners.names.len(), 3);
    }

    #[test]
    fn an_order_keeps_numbers_and_whoever_is_gone_has_nothing() {
        let text =
            "order = [\"ben\", \"ana\"]\n[[person]]\nid = \"cleo\"\n[[person]]\nid = \"ana\"\ndevices = [\"p1\"]\n";
        let (people, owners, faults) = people(text, &[]);
        assert!(faults.is_empty(), "{faults:?}");
        let names: Vec<&str> = people.people.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["ben", "ana", "cleo"]);
        assert!(people.people.iter().zip(0..).all(|(p, i)| p.id == PersonId(i)));
        assert_eq!(owners.devices, [(CarriedKey::of("p1"), PersonId(1))]);
        assert!(people.people[0].devices.is_empty() && people.people[0].groups.is_empty());
    }

    #[test]
    fn faults_of_people_read_well() {
        let text = r#"
[[person]]
id = "ana"
groups = ["projct-x"]
badges = ["04A2"]
consents = "yes"
langauge = "en"
[[person]]
id = "ben"
badges = ["04a2"]
devices = [7]
[[person]]
id = "ana"
[[person]]
groups = []
[[group]]
id = "project-x"
members = ["bne"]
"#;
        let (_, _, faults) = people(text, &[Normalise { lower: true, alnum: false }]);
        insta::assert_snapshot!(faults.join("\n"));
    }
}
