//! The simulator on real plans: it does not fail on what is not drawn.

use super::*;

fn site_of(plan: &str) -> Option<Site> {
    let dir = beside("../shared/floorplans").join(plan);
    let Ok(entries) = std::fs::read_dir(&dir) else {
        println!("skipped: {} is absent", dir.display());
        return None;
    };
    let mut files: Vec<SourceFile> = entries
        .filter_map(Result::ok)
        .filter_map(|e| {
            let name = e.file_name().into_string().ok()?;
            let text = std::fs::read_to_string(e.path()).ok()?;
            Some(SourceFile { path: format!("floorplan/{name}"), text })
        })
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    osmose_load::load(&files).site
}

#[test]
fn crowds_walk_real_plans_with_and_without_doors() {
    for plan in ["wrld-westport-house", "wrld-example-office", "osmtoimdf-ulm-university"] {
        let Some(site) = site_of(plan) else { continue };
        let mut sim = match Sim::new(&site, Scenario::Crowd { people: 40, stay_s: [1.0, 5.0] }, 1) {
            Ok(sim) => sim,
            Err(e) => panic!("{plan}: {e}"),
        };
        sim.advance(seconds(0.1), &mut |_, _, _, _| {});
        let start: Vec<Place> = sim.truth(seconds(0.1)).map(|p| p.place).collect();
        sim.advance(seconds(30.0), &mut |_, _, _, _| {});
        let moved = sim.truth(seconds(30.0)).zip(&start).filter(|(p, s)| p.place.at.distance(s.at) > 0.5).count();
        println!(
            "{plan}: {} levels, {} of {} people walked, {} wishes without a way",
            site.levels.len(),
            moved,
            start.len(),
            sim.no_way()
        );
        sim.notes().iter().for_each(|n| println!("  {n}"));
        assert!(start.len() == 40 && moved > 10, "{plan}: {moved} of {} people walked", start.len());
    }
}

#[test]
fn a_plan_without_doors_says_what_is_assumed() {
    let mut site = rooms("");
    site.openings.clear();
    let mut notes = Vec::new();
    let nav = Nav::build(&site, &mut notes);
    assert_eq!(
        notes,
        ["Level `ground` has no doors: people pass from zone to zone where they touch, through 3 of its 3 walls."]
    );
    let at = |x| (LevelId(0), osmose_model::geometry::Point::new(x, 3.0));
    assert!(nav.route(at(1.0), at(17.0), 0).is_some());
}
