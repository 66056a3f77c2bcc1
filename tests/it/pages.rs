//! The benchmark of the admin pages knows all of them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

#[path = "../../benches/pages/list.rs"]
mod list;

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => sources(&path, found),
            false => found.push(path),
        }
    }
}

/// The routes of the admin pages that take a GET.
fn routes() -> BTreeSet<String> {
    let mut files = Vec::new();
    sources(Path::new("src/web/admin"), &mut files);
    let mut routes = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a source");
        for rest in text.split(".route(").skip(1) {
            let path = rest.split('"').nth(1).expect("a route begins with its path");
            // The last one of a router ends with the function.
            let end = [rest.find(';'), rest.find("\n}")].into_iter().flatten().min();
            let handlers = &rest[..end.unwrap_or(rest.len())];
            if handlers.contains("get(") {
                routes.insert(path.to_owned());
            }
        }
    }
    routes
}

#[test]
fn the_benchmark_of_pages_measures_every_page_or_says_why_not() {
    let listed: BTreeSet<String> = list::ROUTES.iter().map(|(route, _)| (*route).to_owned()).collect();
    let routes = routes();
    assert!(routes.len() > 50, "{routes:?}");
    let missing: Vec<_> = routes.difference(&listed).collect();
    assert!(missing.is_empty(), "not in benches/pages/list.rs: {missing:?}");
    let gone: Vec<_> = listed.difference(&routes).collect();
    assert!(gone.is_empty(), "in benches/pages/list.rs, but no page: {gone:?}");
    for (route, visit) in list::ROUTES {
        match visit {
            list::Visit::Page(paths) => assert!(!paths.is_empty(), "{route}"),
            list::Visit::No(why) => assert!(!why.is_empty(), "{route}"),
        }
    }
}
