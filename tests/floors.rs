//! The house keeps its floors: what the folders promise, checked against what Cargo really builds.
//!
//! A newcomer reads the architecture off the folders (ARCHITECTURE.md), and that only works while no arrow points up.
//! Every test here prints how many things it looked at and fails on none, so that a check that ran on nothing is red.

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Every crate of ours, its floor, and which of ours it may use. A crate that is not listed fails the test.
const FLOORS: &[(&str, u8, &[&str])] = &[
    ("osmose-model", 1, &[]),
    ("osmose-calendar", 1, &[]),
    ("osmose-load", 1, &["osmose-model", "osmose-calendar"]),
    ("osmose-survey", 1, &["osmose-model", "osmose-load"]),
    ("osmose-wire", 1, &["osmose-model"]),
    ("osmose-sensors", 2, &["osmose-model", "osmose-wire"]),
    ("osmose-fusion", 2, &["osmose-model"]),
    ("osmose-rules", 2, &["osmose-model"]),
    ("osmose-plan", 2, &["osmose-model"]),
    ("osmose-drivers", 2, &["osmose-model", "osmose-wire"]),
    ("osmose-core", 3, &["osmose-model", "osmose-fusion", "osmose-rules", "osmose-plan"]),
    (
        "osmose-runtime",
        3,
        &["osmose-model", "osmose-wire", "osmose-sensors", "osmose-fusion", "osmose-drivers", "osmose-core"],
    ),
    (
        "osmose-replay",
        4,
        &[
            "osmose-model",
            "osmose-load",
            "osmose-wire",
            "osmose-sensors",
            "osmose-fusion",
            "osmose-rules",
            "osmose-plan",
            "osmose-drivers",
            "osmose-core",
            "osmose-runtime",
        ],
    ),
    ("osmose-top", 4, &[]),
    (
        "osmose-bench",
        4,
        &[
            "osmose-model",
            "osmose-load",
            "osmose-wire",
            "osmose-sensors",
            "osmose-rules",
            "osmose-core",
            "osmose-replay",
        ],
    ),
    (
        "osmose-page",
        4,
        &["osmose-model", "osmose-fusion", "osmose-rules", "osmose-drivers", "osmose-runtime", "osmose-replay"],
    ),
];

/// The root package, on the top floor, may use all of them.
const TOP: &str = "osmose";

/// Crates whose results must be the same bits on every run.
const CORE: &[&str] = &["osmose-model", "osmose-fusion", "osmose-rules", "osmose-plan", "osmose-core"];

/// What would bring a clock, a file, a socket, a thread or chance into them, however deep below.
const NOT_IN_CORE: &[&str] = &[
    "async-std",
    "chrono",
    "core_affinity",
    "crossbeam-channel",
    "fastrand",
    "getrandom",
    "jiff",
    "memmap2",
    "mio",
    "nix",
    "notify",
    "polling",
    "quinn-udp",
    "rand",
    "rayon",
    "rtrb",
    "rustix",
    "signal-hook",
    "smol",
    "socket2",
    "tempfile",
    "time",
    "tokio",
    "tracing-subscriber",
];

/// Libraries that belong to the crates named only.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("axum", &["osmose-page"]),
    ("chrono", &["osmose-calendar"]),
    ("flatbuffers", &["osmose-wire"]),
    ("geo", &["osmose-load", "osmose-survey"]),
    ("geojson", &["osmose-load"]),
    ("hyper", &["osmose-page"]),
    ("ratatui", &["osmose-top"]),
    ("saphyr-parser", &["osmose-survey"]),
    ("tokio", &["osmose-page"]),
    ("zip", &["osmose-survey"]),
];

/// Crates of ours that may hold unsafe code: generated accessors, and the one mapped file of the journal.
const MAY_HOLD_UNSAFE: &[&str] = &["osmose-wire", "osmose-runtime"];

/// Licences that a dependency may be under (SPDX).
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MPL-2.0",
    "Unicode-3.0",
    "Zlib",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// What Cargo would build for this platform.
fn metadata() -> &'static Metadata {
    static METADATA: OnceLock<Metadata> = OnceLock::new();
    METADATA.get_or_init(|| {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let about = std::process::Command::new(rustc).arg("-vV").output().expect("rustc runs");
        let about = String::from_utf8(about.stdout).expect("rustc speaks UTF-8");
        let host = about.lines().find_map(|l| l.strip_prefix("host: ")).expect("rustc names its host").to_owned();
        let mut command = MetadataCommand::new();
        command.manifest_path(root().join("Cargo.toml")).other_options(["--filter-platform".to_owned(), host]);
        command.exec().expect("cargo metadata reads the workspace")
    })
}

fn ours() -> Vec<&'static Package> {
    metadata().workspace_packages()
}

/// The crates of ours that a crate uses in the ways that `kinds` lists.
fn uses(package: &Package, kinds: &[DependencyKind]) -> BTreeSet<String> {
    let names: BTreeSet<&str> = ours().iter().map(|p| p.name.as_str()).collect();
    let used = package.dependencies.iter().filter(|d| kinds.contains(&d.kind));
    used.filter(|d| names.contains(d.name.as_str())).map(|d| d.name.clone()).collect()
}

/// Everything that a crate links at run time, by name, each with the crate that brought it in. Procedural macros run
/// in the compiler and are not linked.
fn linked(package: &PackageId) -> BTreeMap<String, String> {
    let resolve = metadata().resolve.as_ref().expect("a resolved graph");
    let (mut seen, mut stack) = (BTreeMap::new(), vec![package]);
    while let Some(id) = stack.pop() {
        let node = resolve.nodes.iter().find(|n| &n.id == id).expect("every dependency is a node");
        for dep in &node.deps {
            let target = &metadata()[&dep.pkg];
            let normal = dep.dep_kinds.iter().any(|k| k.kind == DependencyKind::Normal);
            let is_macro = target.targets.iter().any(cargo_metadata::Target::is_proc_macro);
            if normal && !is_macro && !seen.contains_key(target.name.as_str()) {
                seen.insert(target.name.to_string(), metadata()[id].name.to_string());
                stack.push(&dep.pkg);
            }
        }
    }
    seen
}

/// Fails with every complaint at once; prints how much was looked at, and fails on nothing.
fn conclude(what: &str, looked_at: usize, complaints: &[String]) {
    println!("{what}: {looked_at} checked, {} wrong", complaints.len());
    assert!(complaints.is_empty(), "{what}:\n  {}", complaints.join("\n  "));
    assert!(looked_at > 0, "{what}: nothing was checked");
}

#[test]
fn every_arrow_points_down() {
    let floor = |name: &str| FLOORS.iter().find(|(n, ..)| *n == name);
    let (mut arrows, mut complaints) = (0, Vec::new());
    for package in ours() {
        let name = package.name.as_str();
        if name == TOP {
            arrows += uses(package, &[DependencyKind::Normal]).len();
            continue;
        }
        let Some(&(_, mine, may)) = floor(name) else {
            complaints.push(format!("{name} has no floor: give it one in tests/floors.rs"));
            continue;
        };
        for used in uses(package, &[DependencyKind::Normal, DependencyKind::Build]) {
            arrows += 1;
            if !may.contains(&used.as_str()) {
                complaints.push(format!("{name} uses {used}, which its floor does not let it"));
            }
        }
        for used in uses(package, &[DependencyKind::Development]) {
            arrows += 1;
            if floor(&used).is_none_or(|&(_, other, _)| other > mine) {
                complaints.push(format!("the tests of {name} use {used}, of a higher floor"));
            }
        }
    }
    conclude("arrows between our crates", arrows, &complaints);
}

#[test]
fn the_list_of_floors_itself_points_down() {
    let (mut arrows, mut complaints) = (0, Vec::new());
    for (i, (name, floor, may)) in FLOORS.iter().enumerate() {
        for used in *may {
            arrows += 1;
            // A crate listed earlier is on a lower floor, or below on the same one: so there is no circle.
            let below = FLOORS[..i].iter().any(|(n, f, _)| n == used && f <= floor);
            if !below {
                complaints.push(format!("{name} may use {used}, which is not below it"));
            }
        }
        if !ours().iter().any(|p| p.name.as_str() == *name) {
            complaints.push(format!("{name} has a floor and does not exist"));
        }
    }
    conclude("arrows that the floors allow", arrows, &complaints);
}

#[test]
fn the_core_links_nothing_that_does_io() {
    let (mut links, mut complaints) = (0, Vec::new());
    for package in ours().into_iter().filter(|p| CORE.contains(&p.name.as_str())) {
        let below = linked(&package.id);
        links += below.len();
        for (name, by) in below.iter().filter(|(name, _)| NOT_IN_CORE.contains(&name.as_str())) {
            complaints.push(format!("{} links {name} (through {by})", package.name));
        }
    }
    conclude("crates linked by the core", links, &complaints);
}

#[test]
fn the_engine_does_not_know_the_trace_format() {
    let runtime = ours().into_iter().find(|p| p.name.as_str() == "osmose-runtime").expect("the runtime is a member");
    let below = linked(&runtime.id);
    let foreign = ["mcap", "osmose-replay", "osmose-load"].into_iter().filter(|n| below.contains_key(*n));
    let complaints: Vec<String> = foreign.map(|n| format!("osmose-runtime links {n}")).collect();
    conclude("crates linked by the runtime", below.len(), &complaints);
}

#[test]
fn what_belongs_to_one_crate_stays_in_it() {
    let (mut found, mut complaints) = (0, Vec::new());
    for package in ours() {
        for dependency in &package.dependencies {
            let Some((library, owners)) = ONLY_IN.iter().find(|(l, _)| *l == dependency.name) else { continue };
            found += 1;
            if !owners.contains(&package.name.as_str()) {
                complaints.push(format!("{} uses {library}, which belongs to {}", package.name, owners.join(" and ")));
            }
        }
    }
    conclude("uses of libraries that have owners", found, &complaints);
}

/// The folder of a crate.
fn folder(package: &Package) -> &Path {
    package.manifest_path.parent().expect("a manifest lies in a folder").as_std_path()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{} cannot be read: {e}", path.display()))
}

#[test]
fn the_core_crates_share_one_list_of_banned_methods() {
    let mut texts: Vec<(String, String)> = Vec::new();
    for package in ours().into_iter().filter(|p| CORE.contains(&p.name.as_str())) {
        texts.push((package.name.to_string(), read(&folder(package).join("clippy.toml"))));
    }
    let (first, text) = texts.first().cloned().expect("the core has crates");
    let differ = texts.iter().filter(|(_, t)| *t != text);
    let mut complaints: Vec<String> =
        differ.map(|(name, _)| format!("{name}/clippy.toml differs from that of {first}")).collect();
    if texts.len() != CORE.len() {
        complaints.push(format!("{} of {} core crates were found", texts.len(), CORE.len()));
    }
    if !text.contains("disallowed-methods") || !text.contains("disallowed-types") {
        complaints.push("the list bans nothing".to_owned());
    }
    conclude("copies of clippy.toml", texts.len(), &complaints);
}

fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{} cannot be listed: {e}", folder.display()));
    for entry in entries {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// Threads meet in `rtrb` rings; beside them there is the flag that stops them, set once. So there is no order of memory of
/// our own to get wrong, and `engine/runtime/tests/models.rs` models how the rings are used.
#[test]
fn the_pipeline_has_no_atomics_of_its_own_but_the_flag_that_stops_it() {
    const PIPELINE: &[&str] = &[
        "osmose-model",
        "osmose-wire",
        "osmose-sensors",
        "osmose-fusion",
        "osmose-rules",
        "osmose-plan",
        "osmose-drivers",
        "osmose-core",
        "osmose-runtime",
    ];
    let (mut files, mut complaints) = (0, Vec::new());
    for package in ours().into_iter().filter(|p| PIPELINE.contains(&p.name.as_str())) {
        let mut sources = Vec::new();
        rust_files(&folder(package).join("src"), &mut sources);
        for path in &sources {
            files += 1;
            let text = read(path);
            for (i, line) in text.lines().enumerate().filter(|(_, l)| l.contains("Atomic") || l.contains("atomic::")) {
                let code = line.split("//").next().unwrap_or_default();
                let is_flag =
                    code.contains("AtomicBool") && (code.contains("stop") || code.trim_start().starts_with("use "));
                if !is_flag && code.contains("Atomic") {
                    complaints.push(format!("{}:{}: {}", path.display(), i + 1, line.trim()));
                }
            }
        }
    }
    conclude("source files asked about atomics", files, &complaints);
}

#[test]
fn unsafe_code_stands_only_where_it_may() {
    let (mut files, mut complaints) = (0, Vec::new());
    for package in ours() {
        let name = package.name.as_str();
        if !read(package.manifest_path.as_std_path()).contains("[lints]\nworkspace = true") {
            complaints.push(format!("{name} does not take the workspace's lints"));
        }
        let roots = package.targets.iter().filter(|t| t.is_lib() || t.is_bin());
        for root in roots.filter(|_| !MAY_HOLD_UNSAFE.contains(&name)) {
            files += 1;
            let text = read(root.src_path.as_std_path());
            if !text.lines().any(|l| l == "#![forbid(unsafe_code)]") {
                complaints.push(format!("{} does not forbid unsafe code", root.src_path));
            }
        }
    }
    // The mapped journal: one file, and every block with its reason.
    let runtime = ours().into_iter().find(|p| p.name.as_str() == "osmose-runtime").expect("the runtime is a member");
    let mut sources = Vec::new();
    rust_files(&folder(runtime).join("src"), &mut sources);
    files += sources.len();
    let with_unsafe: Vec<&PathBuf> = sources.iter().filter(|p| read(p).contains("unsafe {")).collect();
    if with_unsafe.len() > 1 {
        complaints.push(format!("osmose-runtime holds unsafe code in {with_unsafe:?}: one file may"));
    }
    for file in with_unsafe {
        let text = read(file);
        if text.matches("unsafe {").count() > text.matches("// SAFETY: ").count() {
            complaints.push(format!("{} has an unsafe block without its SAFETY line", file.display()));
        }
    }
    conclude("source files asked about unsafe code", files, &complaints);
}

/// Whether an SPDX expression can be met with allowed licences: `OR` by either side, `AND` by both; `/` is the old
/// spelling of `OR`. `Err` where it is no expression.
fn allowed(expression: &str) -> Result<bool, String> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let met = any_of(&tokens, &mut at)?;
    if at == tokens.len() { Ok(met) } else { Err(format!("{:?} left over in {expression:?}", &tokens[at..])) }
}

fn any_of(tokens: &[&str], at: &mut usize) -> Result<bool, String> {
    let mut met = all_of(tokens, at)?;
    while tokens.get(*at) == Some(&"OR") {
        *at += 1;
        met |= all_of(tokens, at)?;
    }
    Ok(met)
}

fn all_of(tokens: &[&str], at: &mut usize) -> Result<bool, String> {
    let mut met = one(tokens, at)?;
    while tokens.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(tokens, at)?;
    }
    Ok(met)
}

fn one(tokens: &[&str], at: &mut usize) -> Result<bool, String> {
    let token = *tokens.get(*at).ok_or("it ends early")?;
    *at += 1;
    match token {
        "(" => {
            let met = any_of(tokens, at)?;
            if tokens.get(*at) != Some(&")") {
                return Err("a bracket is not closed".to_owned());
            }
            *at += 1;
            Ok(met)
        }
        ")" | "AND" | "OR" | "WITH" => Err(format!("{token} where a licence belongs")),
        licence if tokens.get(*at) == Some(&"WITH") => {
            let exception = tokens.get(*at + 1).ok_or("WITH ends it")?;
            *at += 2;
            Ok(LICENCES.contains(&format!("{licence} WITH {exception}").as_str()))
        }
        licence => Ok(LICENCES.contains(&licence)),
    }
}

#[test]
fn licence_expressions_are_read_as_spdx_means_them() {
    for yes in ["MIT", "MIT/Apache-2.0", "GPL-3.0 OR MIT", "(MIT OR GPL-2.0) AND Unicode-3.0", "MIT AND (ISC AND 0BSD)"]
    {
        assert_eq!(allowed(yes), Ok(true), "{yes}");
    }
    for no in ["GPL-3.0", "MIT AND GPL-2.0", "Apache-2.0 WITH Classpath-exception-2.0", "GPL-2.0 OR LGPL-3.0", "NCSA"] {
        assert_eq!(allowed(no), Ok(false), "{no}");
    }
    assert_eq!(allowed("Apache-2.0 WITH LLVM-exception OR GPL-2.0"), Ok(true));
    for bad in ["", "MIT OR", "(MIT", "MIT MIT", "AND MIT"] {
        assert!(allowed(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn every_dependency_is_free_to_use_and_from_the_public_registry() {
    let (mut looked_at, mut complaints) = (0, Vec::new());
    let members: BTreeSet<&PackageId> = ours().iter().map(|p| &p.id).collect();
    for package in metadata().packages.iter().filter(|p| !members.contains(&p.id)) {
        looked_at += 1;
        let what = format!("{} {}", package.name, package.version);
        match package.license.as_deref().map(allowed) {
            Some(Ok(true)) => {}
            Some(Ok(false)) => {
                complaints.push(format!("{what} is under {}", package.license.as_deref().unwrap_or_default()));
            }
            Some(Err(why)) => complaints.push(format!("the licence of {what} cannot be read: {why}")),
            None => complaints.push(format!("{what} names no licence")),
        }
        if !package.source.as_ref().is_some_and(cargo_metadata::Source::is_crates_io) {
            complaints.push(format!("{what} does not come from crates.io"));
        }
    }
    conclude("licences of dependencies", looked_at, &complaints);
}
