//! A page as people see it: in Chromium without a screen.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

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
    let folder = repository().join("target/browser");
    fs::create_dir_all(&folder).unwrap();
    let page = folder.join(format!("{name}.html"));
    fs::write(&page, html).unwrap();
    let looked = Command::new("node")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/look.mjs"))
        .args([&tools, &chromium, &page, &folder.join(name)])
        .arg(serde_json::to_string(texts).unwrap())
        .output()
        .expect("node was there when playwright-core was installed");
    let told = String::from_utf8_lossy(&looked.stdout);
    let broke = String::from_utf8_lossy(&looked.stderr);
    assert!(
        looked.status.success(),
        "{}:\n{told}{broke}",
        page.display()
    );
}
