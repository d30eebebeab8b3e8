use std::path::PathBuf;

use super::*;

const HOUSE: &str = "[workspace.lints.rust]\nunsafe_code = \"forbid\"\n[workspace.dependencies]\ntokio = \"1\"\nengine = { package = \"tokio\", version = \"1\" }\n";

/// The complaints about a room whose manifest ends with `rest`.
fn complaints(name: &str, rest: &str) -> Vec<String> {
    let manifest = format!("[package]\nname = \"{name}\"\n[lints]\nworkspace = true\n{rest}");
    let package =
        Package { folder: name.to_owned(), path: PathBuf::from("crates").join(name), manifest };
    check_package(&package, HOUSE).unwrap()
}

#[track_caller]
fn assert_refused(name: &str, rest: &str, because: &str) {
    let found = complaints(name, rest);
    assert!(found.len() == 1 && found[0].contains(because), "{found:?}");
}

#[test]
fn imports_along_the_table_pass() {
    let rest = "[dependencies]\nunits.workspace = true\ngomod = { path = \"../gomod\" }\nsha2 = \"1\"\n[dev-dependencies]\ntestkit.workspace = true\n";
    assert!(complaints("modzip", rest).is_empty());
}

#[test]
fn upward_imports_are_refused() {
    assert_refused(
        "gomod",
        "[dependencies]\nstore.workspace = true\n",
        "gomod (floor 0) imports store (floor 2): upward",
    );
}

#[test]
fn sideways_imports_are_refused() {
    assert_refused("store", "[dependencies]\ndb.workspace = true\n", "sideways");
}

#[test]
fn downward_imports_outside_the_table_are_refused() {
    assert_refused("wire", "[dependencies]\ngomod.workspace = true\n", "not in the table");
}

#[test]
fn the_surface_may_not_see_the_store() {
    assert_refused("server", "[dependencies]\nstore.workspace = true\n", "not in the table");
}

#[test]
fn sumdb_may_import_modzip() {
    assert!(complaints("sumdb", "[dependencies]\nmodzip.workspace = true\n").is_empty());
}

#[test]
fn testkit_is_a_dev_dependency_only() {
    assert_refused("proxy", "[dependencies]\ntestkit.workspace = true\n", "a dev-dependency only");
    assert!(complaints("proxy", "[dev-dependencies]\ntestkit.workspace = true\n").is_empty());
}

#[test]
fn tests_may_use_lower_rooms_and_no_upper_ones() {
    assert!(complaints("auth", "[dev-dependencies]\npolicy.workspace = true\n").is_empty());
    assert_refused("store", "[dev-dependencies]\nproxy.workspace = true\n", "upward");
}

#[test]
fn nobody_imports_a_tool() {
    assert_refused("cli", "[dependencies]\nxtask.workspace = true\n", "nobody imports a tool");
}

#[test]
fn low_floors_have_no_runtime() {
    assert_refused("gomod", "[dependencies]\ntokio.workspace = true\n", "no runtime");
    assert_refused("policy", "[build-dependencies]\nreqwest = \"1\"\n", "no runtime");
    assert!(complaints("gomod", "[dev-dependencies]\ntokio.workspace = true\n").is_empty());
}

#[test]
fn another_name_for_a_crate_does_not_help() {
    assert_refused("units", "[dependencies]\nengine.workspace = true\n", "imports tokio");
    assert_refused(
        "units",
        "[dependencies]\ninnocent = { package = \"tokio\", version = \"1\" }\n",
        "imports tokio",
    );
}

#[test]
fn imports_of_one_platform_count() {
    assert_refused("units", "[target.'cfg(unix)'.dependencies]\ntokio = \"1\"\n", "no runtime");
}

#[test]
fn worlds_belong_to_their_port() {
    assert_refused("upstream", "[dependencies]\nreqwest.workspace = true\n", "belongs to outbound");
    assert!(complaints("outbound", "[dependencies]\nreqwest.workspace = true\n").is_empty());
}

#[test]
fn rooms_without_contract_are_refused() {
    assert_refused("common", "", "names no contract");
    assert_refused("cellar", "", "not in the table");
}

#[test]
fn every_package_takes_the_shared_lints() {
    let manifest = "[package]\nname = \"units\"\n".to_owned();
    let package =
        Package { folder: "units".to_owned(), path: PathBuf::from("crates/units"), manifest };
    assert!(check_package(&package, HOUSE).unwrap()[0].contains("[lints]"));
}

#[test]
fn folder_and_package_have_one_name() {
    let manifest = "[package]\nname = \"gomod\"\n[lints]\nworkspace = true\n".to_owned();
    let package =
        Package { folder: "units".to_owned(), path: PathBuf::from("crates/units"), manifest };
    assert!(check_package(&package, HOUSE).unwrap()[0].contains("one name"));
}

#[test]
fn the_house_forbids_unsafe() {
    assert!(check_house(HOUSE).unwrap().is_empty());
    assert_eq!(check_house("[workspace.lints.rust]\nunsafe_code = \"deny\"\n").unwrap().len(), 1);
}

#[test]
fn unsafe_code_and_mod_rs_are_found() {
    let root = tempfile::tempdir().unwrap();
    let src = root.path().join("crates/units/src");
    std::fs::create_dir_all(&src).unwrap();
    std::fs::write(src.join("mod.rs"), "// unsafe in a comment\nfn f() { unsafe { g() } }\n")
        .unwrap();
    let package = Package {
        folder: "units".to_owned(),
        path: PathBuf::from("crates/units"),
        manifest: String::new(),
    };
    let found = check_sources(root.path(), &package).unwrap();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[1].ends_with("mod.rs:2: unsafe"), "{found:?}");
}

#[test]
fn this_house_stands() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap();
    assert!(run(&root).unwrap(), "see the lines above");
}
