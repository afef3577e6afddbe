use super::*;

#[test]
fn reads_base_urls() {
    for (url, scheme, host, port, path) in [
        (
            "https://api.openai.com/v1",
            Scheme::Https,
            "api.openai.com",
            443,
            "/v1/chat",
        ),
        (
            "https://api.openai.com/v1/",
            Scheme::Https,
            "api.openai.com",
            443,
            "/v1/chat",
        ),
        (
            "HTTPS://API.openai.com",
            Scheme::Https,
            "api.openai.com",
            443,
            "/chat",
        ),
        (
            "http://127.0.0.1:8089",
            Scheme::Http,
            "127.0.0.1",
            8089,
            "/chat",
        ),
        (
            "http://[::1]:8089/v1",
            Scheme::Http,
            "::1",
            8089,
            "/v1/chat",
        ),
        ("http://[::1]/v1", Scheme::Http, "::1", 80, "/v1/chat"),
        (
            "https://x.test/a?v=1",
            Scheme::Https,
            "x.test",
            443,
            "/a/chat?v=1",
        ),
    ] {
        let target = Target::parse(url).unwrap().join("/chat").unwrap();
        assert_eq!(
            (target.scheme(), target.host(), target.port(), target.path()),
            (scheme, host, port, path),
            "{url}"
        );
    }
}

#[test]
fn says_what_is_wrong_with_a_url() {
    for (url, why) in [
        ("api.openai.com/v1", "lacks a scheme"),
        ("localhost:8089", "lacks a scheme"),
        ("ftp://x.test", "other than http and https"),
        ("http://", "cannot be read"),
        ("http://:80/", "names no host"),
        ("http://x.test:99999/", "port"),
        ("http://x.test:0/", "port"),
        ("http://x.test:eighty/", "port"),
        ("http://[::1/", "cannot be read"),
        ("http://a b/", "cannot be read"),
    ] {
        let error = Target::parse(url).unwrap_err().to_string();
        assert!(error.contains(why), "{url}: {error}");
    }
}

#[test]
fn never_echoes_a_password() {
    let error = Target::parse("https://me:secret@x.test/v1").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("secret"));
}

#[test]
fn joins_queries_and_refuses_bad_paths() {
    let base = Target::parse("https://x.test/a?v=1").unwrap();
    assert_eq!(base.join("b?alt=sse").unwrap().path(), "/a/b?v=1&alt=sse");
    assert!(base.join("b c").is_err());
}

#[test]
fn writes_both_forms() {
    let target = Target::parse("http://[::1]:8089/v1").unwrap();
    assert_eq!(target.absolute_form(), "http://[::1]:8089/v1");
    assert_eq!(target.origin_form(), "/v1");
    assert_eq!(target.origin().host_and_port(), "[::1]:8089");
    assert_eq!(target.origin().host_header(), "[::1]:8089");
}
