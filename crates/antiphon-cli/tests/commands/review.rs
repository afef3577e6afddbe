//! `antiphon review`.

use std::sync::{Condvar, Mutex};

use serde_json::{Value, json};

use crate::{
    scripted::{Line, Scripted, shown_on_a_terminal},
    support::{Ran, Scratch, Stub, parsed_lines},
};

fn system(body: &Value) -> &str {
    body["messages"][0]["content"].as_str().unwrap()
}

/// Security finds much, performance nothing, and both share a strength; maintainability is what the subject says.
fn reviewers(body: &Value, line: &mut Line) {
    let system = system(body);
    let is = |role: &str| system.starts_with(&format!("You are the reviewer for {role}."));
    let subject = body["messages"][1]["content"].as_str().unwrap();
    let said = if is("security") {
        json!({"score": 3, "strengths": ["Short"], "weaknesses": ["No limits"], "recommendation": "reject"})
    } else if is("performance") {
        json!({"score": 8, "strengths": ["short"], "weaknesses": [], "recommendation": "approve"})
    } else if is("maintainability") && subject.contains("broken") {
        return line.fail(400, "no review");
    } else if is("maintainability") || is("style") {
        json!({"score": 7, "strengths": [], "weaknesses": ["Odd\nsecurity  10  approve"], "recommendation": "approve"})
    } else {
        json!({"summary": "Mixed.", "score": 6, "strengths": ["Short"], "weaknesses": ["No limits"], "recommendation": "revise"})
    };
    line.say(&said.to_string());
}

fn scratch() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("a.rs", "fn a() {}");
    scratch.write("b.rs", "broken");
    scratch
}

fn review(args: &[&str]) -> (Ran, Scripted) {
    let server = Scripted::new(reviewers);
    let there = ["review", "--base-url", server.url(), "-m", "m"];
    let ran = scratch().antiphon(&[&there[..], args].concat());
    (ran, server)
}

const A: &str = "\
==> a.rs <==
role             score  recommendation
security             3  reject
performance          8  approve
maintainability      7  approve

mean score 6.0 (3 to 8) · approve · agreement 67%

strengths
  + Short (security, performance)

weaknesses
  - No limits (security)
  - Odd security 10 approve (maintainability)

synthesis: score 6 · revise
  Mixed.
  + Short
  - No limits
";

#[test]
fn a_file_is_reviewed_by_three_roles_and_their_reviews_become_one() {
    let (ran, server) = review(&["a.rs"]);
    ran.says(0, &["a.rs · 4 calls · 4 tokens in, 8 out · cost unknown"]);
    assert_eq!(ran.out, A);
    assert_eq!(server.bodies().len(), 4);
    let (ran, _server) = review(&["a.rs", "-q"]);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), (A, ""));
}

#[test]
fn what_failed_is_told_in_its_place() {
    let (ran, _server) = review(&["a.rs", "b.rs"]);
    ran.says(1, &["1 of 8 calls failed"]);
    let b = ran.out.strip_prefix(A).unwrap();
    let failed = "maintainability      -  failed: bad_request: no review\n";
    assert!(
        b.starts_with("\n==> b.rs <==\n") && b.contains(failed),
        "{b}"
    );
    assert!(
        b.contains("mean score 5.5 (3 to 8) · reject · agreement 50%\n"),
        "{b}"
    );
}

#[test]
fn a_file_without_any_review_does_not_hide_the_others() {
    let server = Scripted::new(|body, line| {
        let of_broken = body["messages"][1]["content"]
            .as_str()
            .unwrap()
            .contains("broken");
        if of_broken {
            line.fail(400, "no")
        } else {
            reviewers(body, line)
        }
    });
    let args = [
        "review",
        "b.rs",
        "a.rs",
        "--base-url",
        server.url(),
        "-m",
        "m",
    ];
    let ran = scratch().antiphon(&args);
    ran.says(1, &["3 of 7 calls failed"]);
    assert!(ran.out.starts_with("==> b.rs <==\nrole"), "{}", ran.out);
    assert!(ran.out.ends_with(A), "{}", ran.out);

    let ran = scratch().antiphon(&[&args[..], &["--json"]].concat());
    let lines = parsed_lines(&ran.out);
    assert_eq!(lines[0]["error"]["code"], "bad_request");
    assert_eq!(
        (&lines[0]["aggregate"], &lines[0]["calls"]),
        (&Value::Null, &json!(3))
    );
    assert_eq!(lines[0]["roles"][2]["error"]["message"], "no");
    assert_eq!(lines[1]["error"], Value::Null);
}

#[test]
fn a_review_tells_its_energy_where_it_is_known() {
    let review = |more: &[&str]| {
        let args = [&["review", "a.rs", "-m", "sim/gpt-4o"][..], more].concat();
        scratch().antiphon(&args)
    };
    review(&[]).says(0, &["Wh, ", " CO2eq"]);
    let line = &parsed_lines(&review(&["--json"]).out)[0];
    for range in ["energy_kwh", "gwp_kgco2eq"] {
        assert!(line[range]["max"].as_f64().unwrap() > 0.0, "{line}");
    }
}

#[test]
fn files_are_reviewed_at_once_and_told_in_their_order() {
    let (done, change) = (Mutex::new(false), Condvar::new());
    let server = Scripted::new(move |body, line| {
        // what is made of the second file's reviews comes before any review of the first
        let text = body["messages"][1]["content"].as_str().unwrap();
        if text.contains("fn a()") {
            let done = done.lock().unwrap();
            let _waited = change.wait_while(done, |done| !*done).unwrap();
        }
        reviewers(body, line);
        if !system(body).starts_with("You are the reviewer") {
            *done.lock().unwrap() = true;
            change.notify_all();
        }
    });
    let args = [
        "review",
        "a.rs",
        "b.rs",
        "--base-url",
        server.url(),
        "-m",
        "m",
    ];
    let ran = scratch().antiphon(&args);
    assert!(ran.says(1, &[]).out.starts_with(A), "{}", ran.out);
}

#[test]
fn json_is_an_object_a_file() {
    let (ran, _server) = review(&["a.rs", "b.rs", "--json"]);
    ran.says(1, &[]);
    let lines = parsed_lines(&ran.out);
    let names =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    let fields = [
        "file",
        "roles",
        "aggregate",
        "synthesis",
        "synthesis_error",
        "error",
        "calls",
        "attempts",
        "usage",
        "cost_usd",
        "energy_kwh",
        "gwp_kgco2eq",
    ];
    assert_eq!(lines.len(), 2);
    for line in &lines {
        assert_eq!(names(line), fields);
        for role in line["roles"].as_array().unwrap() {
            let fields = [
                "role",
                "score",
                "recommendation",
                "strengths",
                "weaknesses",
                "error",
            ];
            assert_eq!(names(role), fields);
        }
    }
    assert_eq!(lines[0]["file"], "a.rs");
    assert_eq!(lines[0]["aggregate"]["mean_score"], 6.0);
    assert_eq!(lines[0]["synthesis"]["recommendation"], "revise");
    assert_eq!(lines[1]["roles"][2]["error"]["code"], "bad_request");
    assert_eq!(lines[1]["roles"][2]["score"], Value::Null);
}

#[test]
fn roles_are_given_or_taken_by_name_and_another_model_may_synthesize() {
    let roles = ["--role", "style=Look at the words.", "--role", "Security"];
    let (ran, server) = review(
        &[
            &["a.rs", "--synthesizer", "chief", "--param", "temperature=0"][..],
            &roles,
        ]
        .concat(),
    );
    ran.says(0, &["a.rs · 3 calls"]);
    assert!(ran.out.contains("role      score"), "{}", ran.out);
    let bodies = server.bodies();
    let style = bodies
        .iter()
        .find(|body| system(body).contains("Look at the words."));
    assert_eq!(style.unwrap()["temperature"], 0);
    assert_eq!(bodies.last().unwrap()["model"], "chief");
    // one reviewer needs nobody to sum up
    let (_, server) = review(&["a.rs", "--role", "security"]);
    assert_eq!(server.bodies().len(), 1);
}

#[test]
fn a_synthesis_that_fails_is_told_beneath_the_reviews() {
    let server = Scripted::new(|body, line| {
        if body["model"] == "chief" {
            line.fail(400, "no")
        } else {
            reviewers(body, line)
        }
    });
    let args = [
        "review",
        "a.rs",
        "--base-url",
        server.url(),
        "-m",
        "m",
        "--synthesizer",
        "chief",
    ];
    let ran = scratch().antiphon(&args);
    ran.says(1, &["1 of 4 calls failed"]);
    assert!(
        ran.out.ends_with("\nsynthesis failed: bad_request: no\n"),
        "{}",
        ran.out
    );
}

#[test]
fn stdin_is_a_file_too() {
    let server = Scripted::new(reviewers);
    let args = ["review", "-", "--base-url", server.url(), "-m", "m"];
    let ran = scratch().antiphon_reading("a plan".as_bytes(), &args);
    assert!(ran.says(0, &[]).out.starts_with("==> stdin <==\n"));
    let asked = server.bodies();
    assert!(
        asked[0]["messages"][1]["content"]
            .as_str()
            .unwrap()
            .contains("a plan")
    );
}

#[test]
fn what_cannot_be_reviewed_is_refused_before_anything_is_sent() {
    let stub = Stub::saying("never");
    let scratch = scratch();
    scratch.write("empty.md", " \n");
    scratch.write("bin.dat", [b'h', b'i', 0xff, 0xfe]);
    for (more, words) in [
        (&["nope.md"][..], "cannot read nope.md: No such file"),
        (&["."], "cannot read .: Is a directory"),
        (
            &["empty.md"],
            "`empty.md` is empty: there is nothing to review",
        ),
        (
            &["bin.dat"],
            "bin.dat is not UTF-8 text, from its byte 3 on\n",
        ),
        (&["-", "-"], "stdin, which can be read only once"),
        (&["--role", "style"], "'style=Look at …'"),
        (&["--role", "secrity"], "did you mean \"security\"?"),
        (&["--role", "=x"], "the role has no name; write NAME=TEXT"),
        (&["--role", "x="], "say what to look at"),
        (
            &["--role", "a=b", "--role", "A=c"],
            "two roles are called `A`",
        ),
        (
            &["--param", "response_format={}"],
            "--param response_format cannot be set: a review has a shape",
        ),
        (
            &["--param", "messages=[]"],
            "--param messages cannot be set",
        ),
    ] {
        let args = ["review", "a.rs", "-m", "m", "--base-url", stub.url()];
        let ran = scratch.antiphon(&[&args[..], more].concat());
        assert_eq!(ran.says(2, &[words]).out, "");
    }
    scratch
        .antiphon(&["review", "-m", "sim/x"])
        .says(2, &["<FILES>"]);
    scratch
        .antiphon(&["review", "a.rs", "-m", "sim/x", "--synthesizer", "sm/x"])
        .says(2, &["did you mean \"sim\"?"]);
    assert_eq!(stub.requests().len(), 0);
}

#[test]
fn reviews_cannot_drive_the_terminal() {
    let server = Scripted::new(|_, line| {
        let review = json!({"score": 3, "strengths": ["a\u{1b}[2J\u{9b}\u{202e}"], "weaknesses": [], "recommendation": "reject"});
        line.say(&review.to_string());
    });
    let args = [
        "review",
        "a.rs",
        "--role",
        "security",
        "--base-url",
        server.url(),
        "-m",
        "m",
    ];
    let shown = shown_on_a_terminal(&scratch(), &args);
    assert!(
        shown.contains("  + a\\u{1b}[2J\\u{9b}\\u{202e} (security)\n"),
        "{shown:?}"
    );
    let shown = shown_on_a_terminal(&scratch(), &[&args[..], &["--json"]].concat());
    let told: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(told["roles"][0]["strengths"][0], "a\u{1b}[2J\u{9b}\u{202e}");
    assert!(!shown.contains('\u{9b}'));
}

#[test]
fn a_role_stays_on_its_line_whatever_it_is_called() {
    let ran = scratch().antiphon(&["review", "a.rs", "-m", "sim/x", "--role", "two\nlines=x"]);
    ran.says(0, &[]);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines[2].starts_with("two lines  "), "{}", ran.out);
    assert_eq!(lines[1].find("score"), Some("two lines  ".len()));
    assert!(ran.out.contains("(two lines)"), "{}", ran.out);
    assert!(!ran.out.contains("\nlines"), "{}", ran.out);
}
