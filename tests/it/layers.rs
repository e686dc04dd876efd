//! Holds the code to its layers: no import runs upwards, no dialect knows another, each library has its one home.
//!
//! The files of `src/` are read token by token (so that comments, strings and macros are what they are), and each path that
//! begins with `crate`, `super`, `self` or a guarded library's name is held against [`ROWS`] and [`LIBRARIES`]. What is
//! compiled for tests only is not looked at.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// What lies where. What comes later in this list may import what comes before, and its own layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    /// The words that all others are written in.
    Words,
    /// Pure logic: no await, no I/O.
    Logic,
    /// Sockets and stores.
    Io,
    /// Actors behind handles.
    Actors,
    /// The five steps of one request.
    Request,
    /// HTTP.
    Http,
    /// The composition root.
    App,
    /// The commands.
    Cli,
    /// The binary.
    Main,
}

/// Which modules are in which layer. The longest prefix of a module's path decides.
const ROWS: &[(&str, Layer)] = &[
    ("config", Layer::Words),
    ("ids", Layer::Words),
    ("money", Layer::Words),
    ("clock", Layer::Words),
    ("fault", Layer::Words),
    ("catalog", Layer::Words),
    ("ir", Layer::Words),
    ("telemetry", Layer::Words),
    ("analytics", Layer::Logic),
    ("dialect", Layer::Logic),
    ("translate", Layer::Logic),
    ("auth", Layer::Logic),
    ("limits", Layer::Logic),
    ("upstream::breaker", Layer::Logic),
    ("upstream::retry", Layer::Logic),
    ("upstream::classify", Layer::Logic),
    ("upstream", Layer::Io),
    ("store", Layer::Io),
    ("sandbox", Layer::Io),
    ("actors", Layer::Actors),
    ("exchange", Layer::Request),
    ("http", Layer::Http),
    ("app", Layer::App),
    ("cli", Layer::Cli),
    ("main", Layer::Main),
];

/// Modules that may import less than their layer says. `Words` are always allowed.
const NARROW: &[(&str, &[&str])] = &[
    ("sandbox", &["sandbox", "dialect"]),
    ("cli", &["cli", "app", "store", "auth::token", "auth::scope", "limits"]),
    ("main", &["app", "cli"]),
];

/// Modules that only these may import.
const GUARDED: &[(&str, &[&str])] = &[("sandbox", &["sandbox", "app", "cli"])];

/// No dialect imports another.
const DIALECTS: &[&str] = &["openai_chat", "openai_responses", "anthropic", "gemini"];

/// The homes of libraries. The longest prefix of a path decides.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("actix_web", &["http", "sandbox", "app"]),
    ("actix_web::rt", &["http", "sandbox", "app", "cli"]),
    ("tracing_actix_web", &["http", "app"]),
    ("actix", &["actors", "app"]),
    ("awc", &["upstream::client", "actors::lane"]),
    ("diesel", &["store"]),
    ("diesel_async", &["store"]),
    ("diesel_migrations", &["store"]),
    ("tokio_postgres", &["store"]),
    ("bb8", &["store"]),
    ("bb8_redis", &["store::counters"]),
    ("redis", &["store::counters"]),
    ("std::env", &["config"]),
];

/// A module's path below the crate's root: `["dialect", "anthropic", "decode"]`.
type Module = Vec<String>;

/// What a file says about other modules.
#[derive(Debug, Default)]
struct Mentions {
    /// Where a path stands (inline modules included), and the path as it is written.
    paths: Vec<(Module, Vec<String>)>,
    /// Modules that are compiled for tests only and have a file of their own.
    test_modules: Vec<Module>,
}

#[test]
fn no_import_runs_upwards_and_each_library_stays_at_home() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = rust_files(&root);
    let read: Vec<(PathBuf, Module, Mentions)> = files
        .into_iter()
        .map(|file| {
            let module = module_of(file.strip_prefix(&root).unwrap());
            let text = std::fs::read_to_string(&file).unwrap();
            let mentions = mentions(&module, &text);
            (file, module, mentions)
        })
        .collect();
    let for_tests: BTreeSet<&Module> = read.iter().flat_map(|(_, _, mentions)| &mentions.test_modules).collect();

    let mut faults = Vec::new();
    for (file, module, mentions) in &read {
        if module.is_empty() || for_tests.iter().any(|test| module.starts_with(test)) {
            continue;
        }
        let file = file.strip_prefix(&root).unwrap().display();
        faults.extend(faults_of(mentions).into_iter().map(|fault| format!("src/{file}: {fault}")));
    }
    assert!(faults.is_empty(), "imports against the layers:\n{}", faults.join("\n"));
    assert!(read.len() > 20, "only {} files were found under {}", read.len(), root.display());
}

fn faults_of(mentions: &Mentions) -> BTreeSet<String> {
    mentions.paths.iter().filter_map(|(from, path)| fault(from, path)).collect()
}

/// What is wrong with a path that stands in the module `from`.
fn fault(from: &[String], path: &[String]) -> Option<String> {
    match resolve(from, path) {
        Some(target) if target.is_empty() => None,
        Some(target) => crate_fault(from, &target),
        None => library_fault(from, path),
    }
}

fn crate_fault(from: &[String], to: &[String]) -> Option<String> {
    let (from_name, to_name) = (from.join("::"), to.join("::"));
    let Some(from_layer) = layer(from) else {
        return Some(format!("`{from_name}` is in no layer: give it a row in tests/it/layers.rs"));
    };
    let Some(to_layer) = layer(to) else {
        // A macro or item at the crate's root: there are none, so it is a module without a row.
        return Some(format!("`{to_name}` is in no layer: give it a row in tests/it/layers.rs"));
    };
    if to_layer > from_layer {
        return Some(format!("`{from_name}` ({from_layer:?}) imports `{to_name}` ({to_layer:?}), which is above it"));
    }
    for (module, allowed) in NARROW {
        if within(from, module) && to_layer != Layer::Words && !allowed.iter().any(|allowed| within(to, allowed)) {
            return Some(format!("`{from_name}` imports `{to_name}`: `{module}` may import the words and {allowed:?}"));
        }
    }
    for (module, importers) in GUARDED {
        if within(to, module) && !importers.iter().any(|importer| within(from, importer)) {
            return Some(format!("`{from_name}` imports `{to_name}`: only {importers:?} may"));
        }
    }
    match (dialect(from), dialect(to)) {
        (Some(own), Some(other)) if own != other => {
            Some(format!("`{from_name}` imports `{to_name}`: no dialect knows another"))
        }
        _ => None,
    }
}

fn library_fault(from: &[String], path: &[String]) -> Option<String> {
    let (library, homes) =
        LIBRARIES.iter().filter(|(library, _)| within(path, library)).max_by_key(|(library, _)| library.len())?;
    let at_home = homes.iter().any(|home| within(from, home));
    (!at_home).then(|| format!("`{}` uses `{library}`, whose home is {homes:?}", from.join("::")))
}

/// The path from the crate's root, or none where it leads out of the crate.
fn resolve(from: &[String], path: &[String]) -> Option<Module> {
    let (first, rest) = path.split_first()?;
    let mut target = match first.as_str() {
        "crate" | "llm_gateway" => Vec::new(),
        "self" => from.to_vec(),
        "super" => from[..from.len().saturating_sub(1)].to_vec(),
        _ => return None,
    };
    for segment in rest {
        if segment == "super" {
            target.pop();
        } else if segment != "self" && segment != "*" {
            target.push(segment.clone());
        }
    }
    Some(target)
}

fn layer(module: &[String]) -> Option<Layer> {
    ROWS.iter()
        .filter(|(prefix, _)| within(module, prefix))
        .max_by_key(|(prefix, _)| prefix.len())
        .map(|(_, layer)| *layer)
}

fn dialect(module: &[String]) -> Option<&'static str> {
    DIALECTS.iter().copied().find(|name| within(module, &format!("dialect::{name}")))
}

fn within(module: &[String], prefix: &str) -> bool {
    let mut segments = module.iter();
    prefix.split("::").all(|wanted| segments.next().is_some_and(|segment| segment == wanted))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// `dialect/anthropic.rs` is `dialect::anthropic`; `lib.rs` is the root.
fn module_of(file: &Path) -> Module {
    let module: Module =
        file.with_extension("").components().map(|part| part.as_os_str().to_str().unwrap().to_owned()).collect();
    if module == ["lib"] { Vec::new() } else { module }
}

fn mentions(module: &Module, text: &str) -> Mentions {
    let tokens: TokenStream = match text.parse() {
        Ok(tokens) => tokens,
        Err(error) => panic!("{}: {error}", module.join("::")),
    };
    let mut mentions = Mentions::default();
    walk(module, tokens, &mut mentions);
    mentions
}

fn walk(module: &Module, tokens: TokenStream, found: &mut Mentions) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '#' && is_test_attribute(tokens.get(at + 1)) => {
                at = skip_item(module, &tokens, at + 2, found);
            }
            TokenTree::Ident(ident) if *ident == "mod" => {
                let name = tokens.get(at + 1).map(ToString::to_string).unwrap_or_default();
                match tokens.get(at + 2) {
                    Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                        walk(&child(module, &name), group.stream(), found);
                        at += 3;
                    }
                    _ => at += 2,
                }
            }
            TokenTree::Ident(_) => {
                let mut paths = Vec::new();
                at = path(&tokens, at, &mut Vec::new(), &mut paths);
                found.paths.extend(paths.into_iter().map(|path| (module.clone(), path)));
            }
            TokenTree::Group(group) => {
                walk(module, group.stream(), found);
                at += 1;
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => at += 1,
        }
    }
}

fn child(module: &Module, name: &str) -> Module {
    let mut child = module.clone();
    child.push(name.to_owned());
    child
}

/// `[cfg(test)]`, after its `#`.
fn is_test_attribute(group: Option<&TokenTree>) -> bool {
    group.is_some_and(|group| matches!(group.to_string().replace(' ', "").as_str(), "[cfg(test)]" | "[test]"))
}

/// Passes over the item that an attribute belongs to: up to its braces or its semicolon. Returns what follows it.
fn skip_item(module: &Module, tokens: &[TokenTree], mut at: usize, found: &mut Mentions) -> usize {
    let start = at;
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => return at,
            TokenTree::Punct(punct) if punct.as_char() == ';' => {
                let declared = tokens[start..at].windows(2).find(|pair| pair[0].to_string() == "mod");
                if let Some([_, name]) = declared {
                    found.test_modules.push(child(module, &name.to_string()));
                }
                return at;
            }
            TokenTree::Group(_) | TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    at
}

/// Reads the path that begins with the identifier at `at`, with what its braces spread it out to. Returns what follows it.
fn path(tokens: &[TokenTree], mut at: usize, prefix: &mut Vec<String>, paths: &mut Vec<Vec<String>>) -> usize {
    let depth = prefix.len();
    loop {
        match tokens.get(at) {
            Some(TokenTree::Ident(ident)) => prefix.push(ident.to_string()),
            Some(TokenTree::Punct(star)) if star.as_char() == '*' => prefix.push("*".to_owned()),
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                spread(group.stream(), prefix, paths);
                prefix.truncate(depth);
                return at + 1;
            }
            _ => break,
        }
        at += 1;
        if !is_double_colon(tokens, at) {
            break;
        }
        at += 2;
    }
    if prefix.len() > 1 {
        paths.push(prefix.clone());
    }
    prefix.truncate(depth);
    at
}

/// The inside of a `use` tree's braces.
fn spread(tokens: TokenStream, prefix: &mut Vec<String>, paths: &mut Vec<Vec<String>>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for branch in tokens.split(|token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',')) {
        if !branch.is_empty() {
            path(branch, 0, prefix, paths);
        }
    }
}

fn is_double_colon(tokens: &[TokenTree], at: usize) -> bool {
    let colon = |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
    colon(at) && colon(at + 1)
}

mod tests {
    use super::*;

    fn faults_in(module: &str, text: &str) -> Vec<String> {
        let module: Module = module.split("::").map(ToOwned::to_owned).collect();
        faults_of(&mentions(&module, text)).into_iter().collect()
    }

    fn assert_fault(module: &str, text: &str, mentioned: &str) {
        let faults = faults_in(module, text);
        assert!(faults.iter().any(|fault| fault.contains(mentioned)), "{mentioned:?} is not among {faults:?}");
    }

    fn assert_clean(module: &str, text: &str) {
        assert_eq!(faults_in(module, text), Vec::<String>::new());
    }

    #[test]
    fn an_import_that_runs_upwards_is_found() {
        assert_fault("store::api_keys", "use crate::actors::auth::Auth;", "`actors::auth::Auth` (Actors)");
        assert_fault("fault", "pub use crate::dialect::sse;", "`dialect::sse` (Logic)");
        assert_fault("exchange::relay", "use crate::http::render;", "which is above it");
        assert_clean("actors::auth", "use crate::store::api_keys::find;");
        assert_clean("http::routes", "use crate::exchange::Exchange; use crate::ids::ModelId;");
    }

    #[test]
    fn nested_braces_are_spread_out() {
        let text =
            "use crate::{ids::ModelId, ir::{self, usage::{Usage, *}}, upstream::{breaker, client::{Client, Head}}};";
        assert_fault("upstream::retry", text, "`upstream::client::Head` (Io)");
        assert_eq!(faults_in("upstream::retry", text).len(), 2);
        assert_clean("upstream::endpoint", text);
    }

    #[test]
    fn a_path_in_the_middle_of_code_counts_as_an_import() {
        assert_fault("ids", "fn f() -> usize { crate::store::database::SIZE }", "store::database::SIZE");
        assert_fault(
            "ids",
            "fn f() { tracing::info!(size = %crate::store::database::SIZE); }",
            "store::database::SIZE",
        );
        assert_fault("limits", "impl From<crate::http::Error> for Limit {}", "http::Error");
    }

    #[test]
    fn super_and_inline_modules_lead_where_they_lead() {
        assert_fault("upstream::breaker", "use super::client::Client;", "`upstream::client::Client` (Io)");
        assert_fault("upstream::breaker::window", "use super::super::client::Client;", "upstream::client::Client");
        assert_fault(
            "upstream::breaker",
            "mod window { use super::super::client::Client; }",
            "upstream::client::Client",
        );
        assert_clean("upstream::breaker", "mod window { use super::client::Client; }");
    }

    #[test]
    fn comments_strings_and_visibility_are_no_imports() {
        assert_clean(
            "ids",
            "//! See [`crate::http`].\n/// And crate::app.\npub(crate) const A: &str = \"crate::app::App\";",
        );
        assert_clean("ids", "pub(in crate) fn f() {}");
    }

    #[test]
    fn what_is_compiled_for_tests_only_is_not_looked_at() {
        assert_clean(
            "ids",
            "#[cfg(test)] #[expect(x, reason = \"y\")] mod tests { use crate::app::App; } const A: u8 = 1;",
        );
        assert_clean("ids", "#[cfg(test)] use crate::app::App;");
        assert_fault("ids", "#[cfg(test)] mod tests { use crate::app::App; } use crate::store::x;", "store::x");
        assert_fault("ids", "#[cfg(not(test))] use crate::app::App;", "app::App");
        let declared = mentions(&vec!["ids".to_owned()], "#[cfg(test)] mod tests; mod other;").test_modules;
        assert_eq!(declared, [["ids", "tests"]]);
    }

    #[test]
    fn a_dialect_that_knows_another_is_found() {
        assert_fault("dialect::anthropic::decode", "use crate::dialect::gemini::wire;", "no dialect knows another");
        assert_fault("dialect::anthropic", "use super::{sse, openai_chat::wire::Message};", "no dialect knows another");
        assert_clean("dialect::anthropic::decode", "use crate::dialect::{sse, anthropic::wire};");
        assert_clean("dialect::peek", "use super::{anthropic, gemini, openai_chat, openai_responses};");
    }

    #[test]
    fn a_library_away_from_home_is_found() {
        assert_fault("exchange::relay", "use actix_web::web;", "uses `actix_web`");
        assert_fault("http::routes", "use {std::fmt, awc::Client};", "uses `awc`");
        assert_fault("actors::auth", "fn f() { diesel::sql_query(\"\"); }", "uses `diesel`");
        assert_fault("store::spool", "use redis::Client;", "uses `redis`");
        assert_fault("cli::serve", "use std::{env, fs};", "uses `std::env`");
        assert_clean("cli::serve", "fn f() { actix_web::rt::System::new(); }");
        assert_clean("store::counters", "use redis::Client; use bb8_redis::bb8;");
        assert_clean("config", "fn f() { std::env::var(\"A\"); }");
        assert_clean("http::routes", "const A: &str = env!(\"CARGO_PKG_VERSION\"); use std::fmt;");
    }

    #[test]
    fn narrow_modules_import_what_they_may() {
        assert_fault("sandbox::openai", "use crate::upstream::client;", "`sandbox` may import the words");
        assert_fault("main", "use llm_gateway::http::routes;", "`main` may import the words");
        assert_fault("http::routes", "use crate::sandbox::Sandbox;", "only [");
        assert_clean("sandbox::openai", "use crate::dialect::sse; use crate::ir::Usage; use super::Script;");
        assert_clean("main", "fn main() { llm_gateway::cli::run() }");
    }

    #[test]
    fn a_module_without_a_row_is_found() {
        assert_fault("helpers", "use crate::ids::ModelId;", "`helpers` is in no layer");
        assert_fault("app", "use crate::helpers::help;", "`helpers::help` is in no layer");
    }
}
