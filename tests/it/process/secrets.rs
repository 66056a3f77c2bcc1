//! No secret stands in a file, the log or a page in plain text, nor in part.

use std::{
    collections::{BTreeSet, HashSet},
    fs,
    path::Path,
};

use super::{Fake, Folder, KEY, MASTER_KEY, PASSWORD, alone, client};
use crate::support::{app::Reply, upstream::Fault};

/// The length of a part that must not show; four characters of a key may.
const PART: usize = 8;
/// A word of a prompt, which is nobody's business either.
const PROMPT: &str = "Wq4mTzPx81LvNcRb";
/// Random, unlike the token of other tests, so that its parts are found nowhere by chance.
const TOKEN: &str = "sk-Jd74nXqPz29WvLmKt63RbHsYc58GfTxUa10EoNiVgMwQyBr7C";

/// The parts of secrets that stand in some bytes.
fn found(secrets: &HashSet<&'static [u8]>, bytes: &[u8]) -> BTreeSet<String> {
    bytes
        .windows(PART)
        .filter(|window| secrets.contains(window))
        .map(|window| String::from_utf8_lossy(window).into_owned())
        .collect()
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() { all.extend(files(&entry)) } else { all.push(entry) }
    }
    all
}

/// Logs in and reads every page that a link leads to; gives all that the server said, and how many pages there are.
async fn read_all_pages(url: &dyn Fn(&str) -> String) -> (String, usize) {
    let http = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client");
    let form = format!("name=admin&password={PASSWORD}");
    let login =
        http.post(url("/login")).header("content-type", "application/x-www-form-urlencoded").body(form);
    let login = Reply::read(login.send().await.expect("an answer")).await;
    let cookie =
        login.header("set-cookie").and_then(|cookie| cookie.split(';').next()).expect("a session").to_owned();
    let mut said = login.text();
    let mut open: Vec<String> = ["/", "/channels", "/tokens", "/usage", "/settings", "/account", "/openclaw"]
        .map(str::to_owned)
        .into();
    let mut seen = HashSet::new();
    while let Some(path) = open.pop() {
        if seen.len() >= 200 || !seen.insert(path.clone()) {
            continue;
        }
        let page =
            Reply::read(http.get(url(&path)).header("cookie", &cookie).send().await.expect("an answer"))
                .await;
        assert!(page.status < 500, "{path}: {}", page.status);
        said += &format!("{:?}\n{}", page.headers, page.text());
        let text = page.text();
        let links = text.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
        open.extend(links.filter(|link| link.starts_with('/')).map(|link| link.replace("&amp;", "&")));
        open.extend(page.header("location").filter(|to| to.starts_with('/')).map(str::to_owned));
    }
    (said, seen.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_part_of_a_secret_stands_in_a_file_the_log_an_answer_or_a_page() {
    let _alone = alone().await;
    let fake = Fake::start();
    let faults = [
        Fault::UnauthorizedEcho,
        Fault::Unauthorized,
        Fault::PaymentRequired,
        Fault::ForbiddenHtml,
        Fault::Status500,
        Fault::BadRequest,
        Fault::ErrorAfterContent,
        Fault::CutAfterContent,
        Fault::Redirect307,
        Fault::RateLimitedText,
    ];
    let models = faults.map(|fault| format!("fault:{}", fault.name()));
    let folder = Folder::new_with_token(&fake, &models, TOKEN).await;
    let mut server = folder.start(&[("RUST_LOG", "trace"), ("ADMIN_PASSWORD", PASSWORD)]);
    let http = client();
    let mut said = String::new();
    for model in models.iter().map(String::as_str).chain(["m", "missing"]) {
        for stream in [true, false] {
            let body = crate::support::app::chat(model, stream, &format!("words=5 {PROMPT}"));
            for token in [TOKEN.to_owned(), format!("{TOKEN}x")] {
                let request = http.post(server.url("/v1/chat/completions")).bearer_auth(token).json(&body);
                let reply = Reply::read(request.send().await.expect("an answer")).await;
                said += &format!("{:?}\n{}", reply.headers, reply.text());
            }
        }
    }
    folder.rows_once(24).await;
    let (pages, count) = read_all_pages(&|path| server.url(path)).await;

    let secrets: HashSet<&'static [u8]> = [KEY, TOKEN, PASSWORD, MASTER_KEY, PROMPT]
        .into_iter()
        .flat_map(|secret| secret.as_bytes().windows(PART))
        .collect();
    let mut leaks = Vec::new();
    let mut search = |place: String, bytes: &[u8]| {
        let found = found(&secrets, bytes);
        if !found.is_empty() {
            leaks.push(format!("{place}: {found:?}"));
        }
    };
    search("answers".into(), said.as_bytes());
    search("pages".into(), pages.as_bytes());
    // Once while it runs, with the write-ahead log, and once after a kill.
    let mut read = 0;
    for after in ["running", "killed"] {
        for file in files(&folder.data()) {
            let bytes = fs::read(&file).unwrap_or_default();
            read += bytes.len();
            search(format!("{after}: {}", file.display()), &bytes);
        }
        if after == "running" {
            server.kill();
        }
    }
    let log = folder.log();
    search("log".into(), log.as_bytes());
    println!("secrets: none in {read} bytes of files, {} bytes of log, {count} pages", log.len());
    assert!(leaks.is_empty(), "{leaks:#?}");
    // The search itself must be able to find something.
    assert!(!found(&secrets, format!("x{}", &KEY[5..20]).as_bytes()).is_empty() && log.contains("attempt"));
}
