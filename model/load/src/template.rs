//! The site that `osmose new DIR` writes: two rooms with everything in it once, commented for who reads it first.

use osmose_model::site::SourceFile;

/// The template's files, ascending by path.
const FILES: &[(&str, &str)] = &[
    ("devices.toml", include_str!("template/devices.toml")),
    ("floorplan.geojson", include_str!("template/floorplan.geojson")),
    ("people.toml", include_str!("template/people.toml")),
    ("rules/first.rules", include_str!("template/rules/first.rules")),
    ("site.toml", include_str!("template/site.toml")),
];

/// What stands for the site's name in the files.
const NAME: &str = "@NAME@";

/// The files of a small site to start from, by the name given, ascending by path. It loads without any fault.
#[must_use]
pub fn template(name: &str) -> Vec<SourceFile> {
    // The name goes into a TOML string: what would end or bend it is escaped or left out.
    let mut escaped = String::with_capacity(name.len());
    for c in name.trim().chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    let name = if escaped.is_empty() { "site" } else { escaped.as_str() };
    let file = |&(path, text): &(&str, &str)| SourceFile { path: path.to_owned(), text: text.replace(NAME, name) };
    FILES.iter().map(file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_template_loads_without_any_fault_and_has_everything_once() {
        let loaded = crate::load(&template("my site"));
        assert!(loaded.faults.is_empty(), "{:#?}", loaded.faults);
        let site = loaded.site.unwrap();
        assert_eq!(site.name, "my site");
        assert_eq!((site.levels.len(), site.zones.len(), site.openings.len(), site.walls.len()), (1, 3, 2, 4));
        assert_eq!((site.sensors.len(), site.actuators.len(), site.people.len(), site.groups.len()), (3, 2, 2, 1));
        assert_eq!(site.rule_files().count(), 1);
        assert!(site.files.is_sorted_by(|a, b| a.path < b.path));
    }

    proptest! {
        #[test]
        fn any_name_makes_a_site_that_loads(name in any::<String>()) {
            let loaded = crate::load(&template(&name));
            prop_assert!(loaded.faults.is_empty(), "{:?}", loaded.faults);
        }
    }
}
