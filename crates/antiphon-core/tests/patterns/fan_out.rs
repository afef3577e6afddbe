use antiphon_core::{ErrorKind, patterns::FanOut};

use crate::rehearsed::{Rehearsed, failed, said, words};

#[tokio::test]
async fn one_view_that_fails_takes_no_other_with_it() {
    let model = Rehearsed::new(|request| async move {
        let words = words(&request);
        assert!(words.starts_with("<document>\nthe plan\n</document>"));
        match words.lines().last().unwrap() {
            "business?" => Err(failed(ErrorKind::ServerError)),
            view => Ok(said(view)),
        }
    });
    let views = FanOut::new(model.clone(), "the plan")
        .with_view("technical", "technical?")
        .with_view("business", "business?")
        .with_view("user", "user?")
        .run()
        .await;
    assert_eq!(model.calls(), 3);
    assert_eq!(views.get("user").unwrap().as_ref().unwrap().text(), "user?");
    let failures: Vec<_> = views
        .result
        .failures()
        .map(|(index, _)| views.names[index].as_str())
        .collect();
    assert_eq!(failures, ["business"]);
    let successes: Vec<_> = views.result.successes().map(|(index, _)| index).collect();
    assert_eq!(successes, [0, 2]);
    assert!(views.get("legal").is_none());
    assert!(FanOut::new(model, "the plan").run().await.names.is_empty());
}
