//! The checker from outside: what it says of wrong rules, and that no text makes it panic.

mod common;

use common::{said, site, source};
use osmose_rules::check;
use proptest::prelude::*;

#[test]
fn names_that_do_not_exist_are_pointed_at_with_the_nearest() {
    insta::assert_snapshot!(said(
        "rule a { when p enters loby do m7.reocrder.pause() level comfrt }
rule b { for each rooom r while r is ocupied hold r.lights.levl = 80 % }
rule c { when any p in members(project-y) leaves m7 do m7.recorder.puase() }
rule d { while fire-panel is activ hold front-door.lock = opn }
rule e { for each room r when r is occupied do r.speaker.play() }
rule f { when ben2 enters m7 do lobby.light.on() }
rule g { when p enters m7 do m7.light.off() once per viist }"
    ));
}

#[test]
fn units_that_do_not_fit_are_pointed_at() {
    insta::assert_snapshot!(said(
        "rule a { while lux-1 < 50 ppm hold m7.light.level = 80 lx }
rule b { while count(people in m7) > 80 % hold m7.light.level = 80 }
rule c { when p in lobby for 10 m do m7.light.on() }
rule d { while m7.capacity + 2 s > 3 people hold m7.light.level = if m7 is occupied then 3 K else 5 % }
rule e { while time in 8:00..25:00 hold m7.light.level = 1 % settle 5 }"
    ));
}

#[test]
fn clauses_that_do_not_fit_are_pointed_at() {
    insta::assert_snapshot!(said(
        "rule a { when p enters m7 hold m7.light.level = 5 % }
rule b { while m7 is occupied do m7.light.on() once per 1 h }
rule c { do m7.light.on() }
rule d { while p enters m7 hold m7.light.level = 5 % }
rule e { for each room r where r is occupied when p enters r do r.light.on() }
rule a { when p enters m7 do m7.light.on() }
interlock i { while fire-panel is active hold front-door.lock = open }
rule j { when p in members(staff) do m7.light.on() }
rule k { when m7 is occupied do m7.light.on() once per visit }
rule l { while m7 is occupied hold m7.light.level = 5 %, m7.light.level = 6 % }
interlock m { while fire-panel is active forbid recorder.pause level life-safety }"
    ));
}

#[test]
fn words_of_other_languages_are_known_and_one_slip_is_told_once() {
    insta::assert_snapshot!(said(
        "rule a { while m7 is occupied if lux-1 < 50 lux hold m7.light.level = 80 % release after 5 minutes }
rule b { when anybody enters lobby do lobby.light.on() }
rule c { when p enters lobby then lobby.light.on() }
rule d { while time between 22:00 and 06:00 hold m7.light.level = 5 % }
rule e { when lux-1 = 50 lx do m7.light.on() }
rule f { when ana enter lobby do lobby-display.show(\"hello \" + ana) }
rule g { when p in lobby and p is staff do lobby-display.wake() }
rule h { when m7 is empty for 2 m do m7.light.off() }
rule i { when p enters loby do lobby.light.off() }
rule j { when distance(a, b) < 1.2 s for 2 s do lobby-display.wake() }
rule k { when p enters lobby do lobby-display.show(\"a\" + 1) }"
    ));
}

#[test]
fn right_rules_get_no_word() {
    assert_eq!(
        said(
            "edition 1
defaults { settle 0 ms  release after 1 min }
levels life-safety > security > privacy > user > comfort > info
mode house { home default, away }
rule a { for each room r, zone z where r.bookable and z.capacity >= 30 when any p in lobby leaves z if house is not away
  do r.lights.level = 30 %; r.recorder.start(participants: people in r); z.lights.off() deadline 1 ms else count
  suppress 3 s per p once per day per r level user }
rule b { while (m7 is occupied or somebody in m9) and not time in 22:00..06:00 and m7.light.level is unknown
  hold m7.recorder.state = recording, m7.light.level = 10 % + 5 % * 2 at start }
rule c { while every p in members(staff) in lobby and lux-1 in 10 lx..50 lx and m7.capacity > 3 hold lobby.lights.state = on }
rule d { when \"m7\" is empty for 2 min across gaps: restart do lobby-display.show(\"{z}, nobody\") }"
                .replace("{z}", "m7")
                .as_str()
        ),
        ""
    );
}

#[test]
fn the_same_text_gives_the_same_program() {
    let text = "rule a { for each room r when any p in participants(r) leaves r do r.recorder.pause() level privacy }";
    let site = site();
    let once = check(&site, &source(text)).program.expect("it is right");
    assert_eq!(Some(&once), check(&site, &source(text)).program.as_ref());
    assert_eq!(once.instance_count(), 2);
    assert_eq!(once.drives(osmose_model::ids::RuleId(0)).len(), 2);
}

/// Sentences of the language with parts swapped at random: mostly parsable, often wrong in meaning.
fn sentences() -> impl Strategy<Value = String> {
    let pick = |words: &'static [&'static str]| prop::sample::select(words).prop_map(str::to_owned);
    let place = || pick(&["m7", "lobby", "r", "x", "\"m9\"", "m7.recorder", "ben", "p", "12 m", "time", "house"]);
    let atom = (place(), place(), 0usize..16).prop_map(|(a, b, how)| match how {
        0 => format!("{a} is occupied"),
        1 => format!("any q in {a} leaves {b}"),
        2 => format!("p in {a}"),
        3 => format!("p enters {b}"),
        4 => format!("count(people in {a}) > 80 % of {b}.capacity"),
        5 => format!("{a} in members({b})"),
        6 => format!("confidence({a}) >= 0.9"),
        7 => format!("fire-panel is {a}"),
        8 => "time in 22:00..06:00".to_owned(),
        9 => format!("{a}.level > 3 %"),
        10 => format!("nobody in {a}"),
        11 => format!("no motion in {a}"),
        12 => format!("all sensors of {a} are alive"),
        13 => format!("{a} in participants({b})"),
        14 => format!("every q in {a} in {b}"),
        _ => format!("{a} == {b}"),
    });
    let cond = atom.prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} and {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} or {b})")),
            inner.clone().prop_map(|a| format!("not ({a})")),
            inner.clone().prop_map(|a| format!("({a}) for 3 s")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("({a}) until ({b})")),
        ]
    });
    let head = pick(&["", "for each room r", "for each room r where r.recorder", "for each zone r, room p"]);
    let act = pick(&[
        "do m7.light.on()",
        "do r.recorder.pause(reason: \"{p} {r} {x\")",
        "hold r.lights.level = if p in m7 then 3 % else lux-1",
        "hold all doors.lock = open, x.y = z",
        "forbid recorder.start",
        "do r.lights.set(level: 3 %, who: p)",
    ]);
    let tail = pick(&[
        "",
        "level privacy",
        "release after 5 min",
        "settle 1 s once per visit",
        "suppress 3 s per p on unknown keep",
    ]);
    (head, pick(&["when", "while"]), cond.clone(), cond, act, tail).prop_map(|(head, word, when, guard, act, tail)| {
        format!("rule a {{ {head} {word} {when} if {guard} {act} {tail} }}")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]
    #[test]
    fn checking_never_panics(text in prop_oneof![4 => sentences(), 1 => any::<String>()]) {
        let checked = check(&site(), &source(&text));
        let failed = checked.diagnostics.iter().any(osmose_rules::Diagnostic::is_error);
        prop_assert_eq!(checked.program.is_none(), failed);
        for diagnostic in &checked.diagnostics {
            diagnostic.render(&text, true);
        }
        if let Some(program) = checked.program {
            // What compiles runs, whatever it says.
            let mut rules = osmose_rules::Rules::new(program);
            let mut world = common::World::new(site());
            world.now = 1;
            let mut out = Vec::new();
            osmose_model::stages::Decide::step(
                &mut rules, &[osmose_model::world::Stimulus::Start], Default::default(), &world, &mut out);
        }
    }
}
