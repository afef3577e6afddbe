//! A page as people see it: in Chromium without a screen.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

/// Set by CI: a missing browser is then a failure, not a test that is left out.
const REQUIRED: &str = "ANTIPHON_BROWSER_REQUIRED";
/// What the browser is called by distributions, in the order in which it is looked for.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Where `./test` puts the package that drives the browser.
fn driver() -> Option<PathBuf> {
    let tools = repository().join("target/tools/browser");
    let package = tools.join("node_modules/playwright-core/package.json");
    package.is_file().then_some(tools)
}

/// The system's browser.
fn chromium() -> Option<PathBuf> {
    let folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH")?).collect();
    let paths = NAMES
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    paths.into_iter().find(|path| path.is_file())
}

/// Opens a page as a phone and as a desktop, light and dark: nothing may overflow, be hard to read, be missing or reach for
/// anything but the page, and `texts` must be read on it as they are. Screenshots are left in `target/browser`.
///
/// Without a browser the test is left out, and says so.
///
/// # Panics
/// When something is wrong with the page, or the browser is missing where it is required.
pub fn look_at(name: &str, html: &str, texts: &[&str]) {
    let page = folder().join(format!("{name}.html"));
    fs::write(&page, html).unwrap();
    let texts = serde_json::to_string(texts).unwrap();
    drive("look.mjs", name, &page.to_string_lossy(), &texts);
}

/// What a page of a server must show, and what it must do by itself.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    /// Texts that are read on it, sooner or later.
    pub texts: Vec<String>,
    /// Sections that are shown, at least.
    pub sections: u32,
    /// Pieces of text that are shown, at least.
    pub words: u32,
    /// A request that is made while the page is open: address and body.
    pub then: Option<(String, String)>,
    /// Texts that are read after it, without a reload.
    pub after: Vec<String>,
    /// Functions of the page's `numbers.js`, an argument, and what they must make of it.
    pub numbers: Vec<(&'static str, Value, String)>,
    /// Whether the connection is lost for a while, and a key is asked for: the page must say so and get over it.
    pub lost: bool,
}

/// As [`look_at`], for a page that is served and goes on. No script but its own may run on it, and no element be there that
/// came from a text.
///
/// # Panics
/// When something is wrong with the page, or the browser is missing where it is required.
pub fn watch(name: &str, url: &str, watched: &Watched) {
    let then = watched.then.as_ref();
    let plan = json!({
        "texts": watched.texts,
        "sections": watched.sections,
        "words": watched.words,
        "then": then.map(|(url, body)| json!({"url": url, "body": body})),
        "after": watched.after,
        "numbers": watched.numbers,
        "lost": watched.lost,
    });
    drive("live.mjs", name, url, &plan.to_string());
}

/// Where pages and pictures of them are left.
fn folder() -> PathBuf {
    let folder = repository().join("target/browser");
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn drive(script: &str, name: &str, page: &str, plan: &str) {
    let (Some(tools), Some(chromium)) = (driver(), chromium()) else {
        assert!(
            env::var_os(REQUIRED).is_none(),
            "{REQUIRED} is set, but there is no Chromium or no playwright-core; ./test installs them"
        );
        #[allow(clippy::print_stderr, reason = "whoever reads the log should know")]
        {
            eprintln!(
                "SKIPPED: {name} was not looked at, as there is no Chromium or no playwright-core"
            );
        }
        return;
    };
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    let looked = Command::new("node")
        .arg(scripts.join(script))
        .args([&tools, &chromium])
        .arg(page)
        .arg(folder().join(name))
        .arg(plan)
        .output()
        .expect("node was there when playwright-core was installed");
    let told = String::from_utf8_lossy(&looked.stdout);
    let broke = String::from_utf8_lossy(&looked.stderr);
    assert!(looked.status.success(), "{page}:\n{told}{broke}");
}
