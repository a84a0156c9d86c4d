//! What the editor asks: completion, hover, definition, rename, formatting.

use super::place::{Documents, position_of, range_of, uri_of, word_at};
use super::world::World;
use osmose_model::device::{Actuator, ActuatorKind};
use osmose_model::ids::RuleId;
use osmose_model::site::Site;
use osmose_rules::syntax::ast::{AstNode, unquoted};
use osmose_rules::syntax::{SyntaxKind, SyntaxNode, words};
use serde_json::{Value, json};

// ---- completion ----

/// Kinds of completion items (LSP 3.17, CompletionItemKind).
const VARIABLE: u32 = 6;
const PROPERTY: u32 = 10;
const METHOD: u32 = 2;
const FUNCTION: u32 = 3;
const KEYWORD: u32 = 14;

fn item(label: &str, kind: u32, detail: impl Into<String>) -> Value {
    json!({ "label": label, "kind": kind, "detail": detail.into() })
}

/// What may stand at an offset: members behind a dot, else names and words.
pub(super) fn completion(world: &World, text: &str, offset: usize) -> Value {
    let Some(site) = &world.found.site else { return Value::Array(keywords()) };
    let begins = text[..offset].rfind(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-'))).map_or(0, |i| i + 1);
    if text[..begins].ends_with('.') {
        let base = word_at(text, begins - 1).map(|w| w.2).unwrap_or_default();
        return Value::Array(members(site, text, offset, &base));
    }
    let mut items = Vec::new();
    items.extend(site.zones.iter().map(|z| item(&z.name, VARIABLE, format!("zone, {}", z.category))));
    items.extend(site.people.iter().map(|p| item(&p.name, VARIABLE, "person")));
    items.extend(site.groups.iter().map(|g| item(&g.name, VARIABLE, format!("group of {}", g.members.len()))));
    items.extend(site.actuators.iter().map(|a| item(&a.name, VARIABLE, a.kind.to_string())));
    items.extend(site.sensors.iter().map(|s| item(&s.name, VARIABLE, format!("sensor, {}", s.kind))));
    if let Some(program) = &world.found.program {
        items.extend(program.modes().iter().map(|m| item(&m.name, VARIABLE, format!("mode: {}", m.values.join(", ")))));
    }
    items.extend(keywords());
    Value::Array(items)
}

fn keywords() -> Vec<Value> {
    let all = words::ITEMS.iter().chain(words::CLAUSES).chain(words::VERBS).chain(words::OPERATORS);
    let functions = words::FUNCTIONS.iter().map(|(name, gives)| item(name, FUNCTION, *gives));
    all.map(|w| item(w, KEYWORD, "")).chain(functions).collect()
}

/// What a dotted path has: a zone its devices and attributes, a device its commands and properties.
fn members(site: &Site, text: &str, offset: usize, base: &str) -> Vec<Value> {
    if let Some(device) = device_of(site, base) {
        return device_members(device);
    }
    let zones: Vec<_> = match site.zone_named(base) {
        Some(zone) => vec![zone],
        // A variable of `for each KIND base`: whatever one of those zones has.
        None => match kind_of_variable(text, offset, base) {
            Some(kind) => {
                site.zones.iter().filter(|z| kind == "zone" || site.zone_is_a(z.id, &kind)).map(|z| z.id).collect()
            }
            None => {
                let Some((zone, member)) = base.rsplit_once('.') else { return Vec::new() };
                let _ = zone;
                let kind = ActuatorKind::ALL
                    .iter()
                    .find(|k| member == k.as_str() || member.strip_suffix('s') == Some(k.as_str()));
                return kind.map(|k| kind_members(*k)).unwrap_or_default();
            }
        },
    };
    let mut items = Vec::new();
    for kind in ActuatorKind::ALL {
        let has = site.actuators.iter().any(|a| a.kind == *kind && a.zone.is_some_and(|z| zones.contains(&z)));
        if has {
            items.push(item(kind.as_str(), PROPERTY, "its device"));
            items.push(item(&format!("{kind}s"), PROPERTY, "all of its devices of this kind"));
        }
    }
    let mut attributes: Vec<&String> = zones.iter().flat_map(|z| site.zones[z.index()].attributes.keys()).collect();
    attributes.sort();
    attributes.dedup();
    items.extend(attributes.into_iter().map(|a| item(a, PROPERTY, "attribute")));
    items
}

fn device_of<'s>(site: &'s Site, path: &str) -> Option<&'s Actuator> {
    site.actuator_named(path).map(|id| &site.actuators[id.index()]).or_else(|| {
        let (zone, kind) = path.rsplit_once('.')?;
        let zone = site.zone_named(zone)?;
        site.actuators.iter().find(|a| {
            a.zone == Some(zone) && (kind == a.kind.as_str() || kind.strip_suffix('s') == Some(a.kind.as_str()))
        })
    })
}

fn device_members(device: &Actuator) -> Vec<Value> {
    kind_members(device.kind)
}

fn kind_members(kind: ActuatorKind) -> Vec<Value> {
    let verbs = kind.verbs().iter().map(|v| {
        let does = v.leads_to.map(|s| format!("to {s}")).or(v.sets.map(|p| format!("sets {p}"))).unwrap_or_default();
        item(v.verb, METHOD, format!("command of a {kind} {does}"))
    });
    let properties = kind.properties().iter().map(|p| {
        let of =
            if p.words.is_empty() { p.unit.map(|u| u.to_string()).unwrap_or_default() } else { p.words.join(", ") };
        item(p.property, PROPERTY, of)
    });
    verbs.chain(properties).collect()
}

/// The kind that `for each KIND variable` declares in the rule around an offset.
fn kind_of_variable(text: &str, offset: usize, variable: &str) -> Option<String> {
    let parse = osmose_rules::parse("", text);
    let around = |n: &SyntaxNode| {
        let range = n.text_range();
        usize::from(range.start()) <= offset && offset <= usize::from(range.end())
    };
    let binders = parse.syntax().descendants().filter(|n| n.kind() == SyntaxKind::BINDER);
    let mut kinds =
        binders.filter(|b| b.ancestors().any(|a| a.kind() == SyntaxKind::RULE && around(&a))).filter_map(|b| {
            let names: Vec<String> =
                b.children().filter(|n| n.kind() == SyntaxKind::NAME).map(|n| n.text().to_string()).collect();
            (names.get(1).map(|n| n.trim()) == Some(variable)).then(|| names[0].trim().to_owned())
        });
    kinds.next()
}

// ---- hover ----

/// What the word under the cursor is.
pub(super) fn hover(world: &World, text: &str, offset: usize) -> Value {
    let Some((from, to, path)) = word_at(text, offset) else { return Value::Null };
    let Some(site) = &world.found.site else { return Value::Null };
    let function = || words::FUNCTIONS.iter().find(|(name, _)| *name == path).map(|(_, gives)| (*gives).to_owned());
    let said = rule_hover(world, &path).or_else(|| site_hover(world, site, &path)).or_else(function).or_else(|| {
        let (base, member) = path.rsplit_once('.')?;
        let device = device_of(site, base)?;
        member_hover(device, member)
    });
    match said {
        Some(said) => json!({ "contents": { "kind": "markdown", "value": said }, "range": range_of(text, from, to) }),
        None => Value::Null,
    }
}

fn rule_hover(world: &World, name: &str) -> Option<String> {
    let (site, program, costs) = world.found.assessed()?;
    let id = program.rule_named(name)?;
    let (rule, cost) = (program.rule(id)?, costs.rule(id)?);
    let drives: Vec<&str> = program.drives(id).iter().map(|a| site.actuators[a.index()].name.as_str()).collect();
    let deadline = cost.margin_us().map_or("no deadline".to_owned(), |m| format!("{m:.0} us of its deadline to spare"));
    Some(format!(
        "**{} {}** at level {}, {} instance(s)\n\ncost: {:.1} us, {} operations at worst; reaction {:.0} us, {deadline}\n\n\
         human latency: {:.1} ms (sensing {:.1}, dampers {:.1}, engine {:.1})\n\ndrives: {}",
        if rule.interlock { "interlock" } else { "rule" },
        rule.name,
        program.levels()[usize::from(rule.level.0)],
        rule.instances.len(),
        cost.us,
        cost.ops.total(),
        cost.reaction_us,
        cost.human.total_ms(),
        cost.human.sensing_ms.unwrap_or(0.0),
        cost.human.dampers_ms,
        cost.human.engine_ms,
        if drives.is_empty() { "nothing".to_owned() } else { drives.join(", ") },
    ))
}

fn site_hover(world: &World, site: &Site, path: &str) -> Option<String> {
    let used = || used_in(world, path);
    if let Some(zone) = site.zone_named(path) {
        let zone = &site.zones[zone.index()];
        let of = |kind: &str, names: Vec<&str>| {
            if names.is_empty() { String::new() } else { format!("\n\n{kind}: {}", names.join(", ")) }
        };
        let devices = site.actuators.iter().filter(|a| a.zone == Some(zone.id)).map(|a| a.name.as_str()).collect();
        let sensors = site.sensors.iter().filter(|s| s.zones.contains(&zone.id)).map(|s| s.name.as_str()).collect();
        let attributes: Vec<String> = zone.attributes.iter().map(|(n, v)| format!("{n} = {v:?}")).collect();
        return Some(format!(
            "**zone {}** ({}), {} on {}{}{}\n\n{}{}",
            zone.name,
            zone.label,
            zone.category,
            site.levels[zone.level.index()].name,
            of("devices", devices),
            of("sensors", sensors),
            attributes.join(", "),
            used()
        ));
    }
    if let Some(device) = device_of(site, path) {
        let verbs: Vec<&str> = device.kind.verbs().iter().map(|v| v.verb).collect();
        let properties: Vec<String> = device
            .kind
            .properties()
            .iter()
            .map(|p| {
                let unit = p.unit.map(|u| format!(" in {u}")).unwrap_or_default();
                let words = if p.words.is_empty() { String::new() } else { format!(": {}", p.words.join(" | ")) };
                format!("{}{unit}{words}", p.property)
            })
            .collect();
        let safe = device.safe.map(|s| format!("\n\nsafe: {s}")).unwrap_or_default();
        return Some(format!(
            "**{} {}**\n\ncommands: {}\n\nproperties: {}{safe}{}",
            device.kind,
            device.name,
            verbs.join(", "),
            properties.join("; "),
            used()
        ));
    }
    if let Some(id) = site.sensor_named(path) {
        let sensor = &site.sensors[id.index()];
        let unit = sensor.unit.map(|u| format!(" in {u}")).unwrap_or_default();
        let rate = sensor.rate_hz.map(|r| format!(", {r} times a second")).unwrap_or_default();
        return Some(format!("**sensor {}**: {}{unit}{rate}{}", sensor.name, sensor.kind, used()));
    }
    if let Some(id) = site.person_named(path) {
        let person = &site.people[id.index()];
        let groups: Vec<&str> = person.groups.iter().map(|g| site.groups[g.index()].name.as_str()).collect();
        return Some(format!("**person {}** of {}{}", person.name, groups.join(", "), used()));
    }
    let id = site.group_named(path)?;
    let group = &site.groups[id.index()];
    let members: Vec<&str> = group.members.iter().map(|p| site.people[p.index()].name.as_str()).collect();
    Some(format!("**group {}**: {}{}", group.name, members.join(", "), used()))
}

fn member_hover(device: &Actuator, member: &str) -> Option<String> {
    if let Some(verb) = device.kind.verbs().iter().find(|v| v.verb == member) {
        let leads = verb.leads_to.map(|s| format!(", leads to {s}")).unwrap_or_default();
        return Some(format!("command **{member}** of {}{leads}", device.name));
    }
    let property = device.kind.properties().iter().find(|p| p.property == member)?;
    let unit = property.unit.map(|u| format!(" in {u}")).unwrap_or_default();
    Some(format!("property **{member}** of {}{unit} {}", device.name, property.words.join(" | ")))
}

/// The rules whose text names a thing, or that drive it.
fn used_in(world: &World, path: &str) -> String {
    let Some((site, program, _)) = world.found.assessed() else { return String::new() };
    let device = device_of(site, path).map(|d| d.id);
    let zone = path.split('.').next().unwrap_or(path);
    let mut names = Vec::new();
    for (i, rule) in program.rules().iter().enumerate() {
        let text = world.found.rule_text(&rule.file);
        let own = text.get(rule.span.start as usize..rule.span.end as usize).unwrap_or_default();
        let named = osmose_rules::parse("", own).syntax().descendants_with_tokens().filter_map(|e| e.into_token());
        let named = named.into_iter().any(|t| unquoted(t.text()) == zone);
        if named || device.is_some_and(|d| program.drives(RuleId(i as u16)).contains(&d)) {
            names.push(rule.name.as_str());
        }
    }
    if names.is_empty() { String::new() } else { format!("\n\nused by: {}", names.join(", ")) }
}

// ---- definition ----

/// Where the word under the cursor is defined: a rule or mode in the rules, everything else in the site's files.
pub(super) fn definition(world: &World, documents: &Documents, uri: &str, text: &str, offset: usize) -> Value {
    let Some((_, _, path)) = word_at(text, offset) else { return Value::Null };
    let Some(dir) = &world.dir else { return Value::Null };
    let last = path.rsplit('.').next().unwrap_or(&path).to_owned();
    if let Some((from, to)) = defining_name(text, &last, Some(offset)) {
        return json!({ "uri": uri, "range": range_of(text, from, to) });
    }
    let Some(site) = &world.found.site else { return Value::Null };
    for file in site.rule_files() {
        let (uri, Some(text)) = documents.uri_or_disk(&dir.join(&file.path)) else { continue };
        if let Some((from, to)) = defining_name(&text, &last, None) {
            return json!({ "uri": uri, "range": range_of(&text, from, to) });
        }
    }
    // The feature, device or person whose id it is; of `m7.recorder` the device, else the zone.
    let device = device_of(site, &path).map(|d| d.name.clone());
    let wanted = device.into_iter().chain([path.clone(), last, path.split('.').next().unwrap_or(&path).to_owned()]);
    for name in wanted {
        let quoted = format!("{name:?}");
        for file in site.files.iter().filter(|f| !f.path.starts_with("rules/")) {
            let Some(at) = id_of(&file.text, &quoted) else { continue };
            let range =
                json!({ "start": position_of(&file.text, at), "end": position_of(&file.text, at + quoted.len()) });
            return json!({ "uri": uri_of(&dir.join(&file.path)), "range": range });
        }
    }
    Value::Null
}

/// Where `id = "x"` or `"id": "x"` stands.
fn id_of(text: &str, quoted: &str) -> Option<usize> {
    text.match_indices(quoted).map(|(at, _)| at).find(|at| {
        let before = text[..*at].trim_end();
        before.strip_suffix(['=', ':']).is_some_and(|b| b.trim_end().trim_end_matches('"').ends_with("id"))
    })
}

/// The defining name of a rule, interlock, policy, mode or counter, or of a `for each` variable around `near`.
fn defining_name(text: &str, name: &str, near: Option<usize>) -> Option<(usize, usize)> {
    let parse = osmose_rules::parse("", text);
    let defines = |node: &SyntaxNode| {
        use SyntaxKind::{BINDER, COUNTER, INTERLOCK, MODE, POLICY, RULE, TEMPLATE};
        let Some(parent) = node.parent() else { return false };
        match parent.kind() {
            RULE | INTERLOCK | POLICY | MODE | COUNTER | TEMPLATE => true,
            BINDER => near.is_some_and(|near| {
                let rule = parent.ancestors().find(|a| matches!(a.kind(), RULE | INTERLOCK | POLICY));
                rule.is_some_and(|r| {
                    usize::from(r.text_range().start()) <= near && near <= usize::from(r.text_range().end())
                }) && parent.children().filter(|c| c.kind() == SyntaxKind::NAME).last().as_ref() == Some(node)
            }),
            _ => false,
        }
    };
    let names = parse.syntax().descendants().filter(|n| n.kind() == SyntaxKind::NAME);
    let found = names.into_iter().find(|n| unquoted(n.text().to_string().trim()) == name && defines(n))?;
    let span = osmose_rules::syntax::ast::Name::cast(found)?.span();
    Some((span.start as usize, span.end as usize))
}

// ---- rename ----

/// Edits that give a rule, a mode or a variable another name wherever it stands. Names of the site stand in its other
/// files too, and are refused.
pub(super) fn rename(
    world: &World,
    documents: &Documents,
    uri: &str,
    text: &str,
    offset: usize,
    new: &str,
) -> Result<Value, String> {
    let (_, _, path) = word_at(text, offset).ok_or("there is no name here")?;
    let old = path.rsplit('.').next().unwrap_or(&path).to_owned();
    let fits = new.chars().next().is_some_and(char::is_alphabetic)
        && new.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
        && !new.ends_with('-');
    if !fits || words::is_reserved(new) {
        return Err(format!("`{new}` cannot be a name"));
    }
    let mut changes = serde_json::Map::new();
    if let Some(rule) = variable_scope(text, &old, offset) {
        changes.insert(uri.to_owned(), Value::Array(edits(text, &old, new, Scope::Rule(rule))));
        return Ok(json!({ "changes": changes }));
    }
    let (Some(dir), Some(site)) = (&world.dir, &world.found.site) else { return Err("this file is in no site".into()) };
    let texts: Vec<(String, String)> = site
        .rule_files()
        .filter_map(|f| {
            let (uri, text) = documents.uri_or_disk(&dir.join(&f.path));
            Some((uri, text?))
        })
        .collect();
    if !texts.iter().any(|(_, text)| defining_name(text, &old, None).is_some()) {
        return Err(format!("`{old}` is not defined in the rules: rename it in the site's own files"));
    }
    if texts.iter().any(|(_, text)| defining_name(text, new, None).is_some()) {
        return Err(format!("`{new}` is taken"));
    }
    let kept = texts.iter().any(|(_, text)| is_kept(text, &old));
    for (uri, text) in texts {
        let edits = edits(&text, &old, new, if kept { Scope::Kept } else { Scope::Site });
        if !edits.is_empty() {
            changes.insert(uri, Value::Array(edits));
        }
    }
    Ok(json!({ "changes": changes }))
}

/// The rule in which a name is a `for each` variable.
fn variable_scope(text: &str, name: &str, offset: usize) -> Option<(usize, usize)> {
    let (from, _) = defining_name(text, name, Some(offset))?;
    let parse = osmose_rules::parse("", text);
    let token = parse.syntax().token_at_offset(u32::try_from(from).ok()?.into()).right_biased()?;
    token.parent_ancestors().find(|n| n.kind() == SyntaxKind::BINDER)?;
    use SyntaxKind::{INTERLOCK, POLICY, RULE};
    let rule = token.parent_ancestors().find(|n| matches!(n.kind(), RULE | INTERLOCK | POLICY))?;
    Some((rule.text_range().start().into(), rule.text_range().end().into()))
}

/// Where a name is renamed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// A variable, in one rule.
    Rule((usize, usize)),
    /// A rule or the like, in all files.
    Site,
    /// A mode or a counter: each zone may have its own, as in `r.visits`.
    Kept,
}

/// Whether a name is a mode's or a counter's.
fn is_kept(text: &str, name: &str) -> bool {
    use SyntaxKind::{COUNTER, MODE};
    let parse = osmose_rules::parse("", text);
    let kept = parse.syntax().children().filter(|n| matches!(n.kind(), MODE | COUNTER));
    let named = |n: SyntaxNode| n.children().find(|c| c.kind() == SyntaxKind::NAME).map(|n| n.text().to_string());
    kept.into_iter().filter_map(named).any(|n| unquoted(n.trim()) == name)
}

/// The places of a word inside the holes of a text.
fn in_holes<'t>(text: &'t str, word: &'t str) -> impl Iterator<Item = usize> + 't {
    let bounds = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '-' | '_'));
    text.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let (before, after) = (&text[..*at], &text[at + word.len()..]);
        let inside = before.rfind('{') > before.rfind('}') && after.contains('}');
        inside && bounds(before.chars().last()) && bounds(after.chars().next())
    })
}

/// Every word that is the name, as a word of its own or in the holes of a text; members behind a dot are others' names,
/// but of a mode or a counter.
fn edits(text: &str, old: &str, new: &str, scope: Scope) -> Vec<Value> {
    let parse = osmose_rules::parse("", text);
    let mut edits = Vec::new();
    let mut behind_dot = false;
    for token in parse.syntax().descendants_with_tokens().filter_map(|e| e.into_token()) {
        let (from, to): (usize, usize) = (token.text_range().start().into(), token.text_range().end().into());
        let inside = match scope {
            Scope::Rule((a, b)) => a <= from && to <= b,
            Scope::Site | Scope::Kept => true,
        };
        let own = !behind_dot || scope == Scope::Kept;
        if token.kind() == SyntaxKind::IDENT && token.text() == old && inside && own {
            edits.push(json!({ "range": range_of(text, from, to), "newText": new }));
        }
        if token.kind() == SyntaxKind::STRING && inside && scope != Scope::Site {
            for at in in_holes(token.text(), old) {
                let dotted = token.text()[..at].ends_with('.');
                if !dotted || scope == Scope::Kept {
                    let (a, b) = (from + at, from + at + old.len());
                    edits.push(json!({ "range": range_of(text, a, b), "newText": new }));
                }
            }
        }
        if !token.kind().is_trivia() {
            behind_dot = token.kind() == SyntaxKind::DOT;
        }
    }
    edits
}

// ---- formatting ----

/// One edit that lays the whole text out; none where it is laid out or does not parse.
pub(super) fn formatting(text: &str) -> Value {
    match osmose_rules::fmt::format(&osmose_rules::parse("", text)) {
        Some(laid_out) if laid_out != text => {
            json!([{ "range": range_of(text, 0, text.len()), "newText": laid_out }])
        }
        _ => json!([]),
    }
}
