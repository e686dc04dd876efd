//! Documents that name tests name tests that exist.

use std::fs;
use std::path::{Path, PathBuf};

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn each_test_that_is_said_to_hold_a_known_failure_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = fs::read_to_string(root.join("docs/known-failures.md")).unwrap();
    let files = [root.join("src"), root.join("tests/it")].map(|folder| rust_files(&folder));
    let sources: String = files.iter().flatten().map(|file| fs::read_to_string(file).unwrap()).collect();
    let is_test = |name: &&str| {
        name.len() > 20 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    let named: Vec<&str> = document.split('`').filter(is_test).collect();
    assert!(named.len() > 50, "{named:?}");
    let missing: Vec<&&str> = named.iter().filter(|name| !sources.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "docs/known-failures.md names tests that are not there: {missing:?}");
}
