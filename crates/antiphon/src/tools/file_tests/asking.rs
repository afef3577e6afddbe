//! What is asked, and what is refused.

use super::*;

#[tokio::test]
async fn a_file_is_run_by_a_configured_model_and_its_status_told() {
    let stage = Stage::new(20);
    let before = stage.status().await;
    assert_eq!(before["state"], "unknown");
    assert_eq!(before["total"], Value::Null);
    assert!(
        before["next"]
            .as_str()
            .unwrap()
            .contains("out.jsonl.antiphon")
    );
    let mut arguments = lent();
    arguments["model"] = json!("sim/demo");
    let first = stage.call("run_file", arguments.clone()).await.unwrap();
    assert_eq!(rows(&first), [20, 20, 0, 0]);
    assert_eq!(first["stopped"], Value::Null);
    assert!(first["usage"]["output_tokens"].as_u64().unwrap() > 0);
    assert_eq!(stage.output().len(), 20);
    let after = stage.status().await;
    assert_eq!(after["state"], "finished");
    assert_eq!(rows(&after), [20, 20, 0, 0]);
    for used in [
        "usage",
        "cost_usd",
        "unpriced_answers",
        "lost_attempts",
        "energy_kwh",
        "gwp_kgco2eq",
    ] {
        assert_eq!(after[used], first[used], "{used}");
    }
    let again = stage.call("run_file", arguments).await.unwrap();
    assert_eq!(
        (rows(&again), &again["resumed"]),
        ([20, 20, 0, 0], &json!(20))
    );
    assert_eq!(again["usage"], first["usage"], "nothing was asked");
}

#[tokio::test]
async fn rows_name_the_clients_model_as_calls_do() {
    let mut stage = Stage::new(0);
    let lines = [
        json!({"prompt": "one", "model": "client"}),
        json!({"prompt": "two", "model": "sim/demo"}),
        json!({"prompt": "three"}),
    ];
    let lines = lines.map(|line| line.to_string() + "\n").concat();
    fs::write(stage.folder.path().join("in.jsonl"), lines).unwrap();
    let arguments = json!({"input": "in.jsonl", "output": "out.jsonl"});
    let (run, _) = stage.begin("run_file", arguments);
    for asked in stage.take(2).await {
        assert_ne!(asked.prompt, "two");
        asked.answer(Ok("said"));
    }
    assert_eq!(rows(&run.await.unwrap().unwrap()), [3, 3, 0, 0]);
    let told = |row: usize| stage.output()[row]["antiphon"]["text"].clone();
    assert_eq!((told(0), told(2)), (json!("said"), json!("said")));
}

#[tokio::test]
async fn the_command_line_goes_on_where_the_tool_ended() {
    let stage = Stage::new(3);
    let mut arguments = lent();
    arguments["model"] = json!("sim/demo");
    arguments["limit"] = json!(2);
    let first = stage.call("run_file", arguments).await.unwrap();
    assert_eq!(rows(&first), [2, 2, 0, 0]);
    let path = |name: &str| fs::canonicalize(stage.folder.path()).unwrap().join(name);
    let options = RunOptions {
        model: Some("sim/demo".to_owned()),
        prompt: Some("About {{ text }}".to_owned()),
        ..RunOptions::new(
            Input::File(path("in.jsonl")),
            Output::File(path("out.jsonl")),
        )
    };
    let config = Config::from_toml(CONFIG).unwrap();
    let prepared = PreparedRun::new(options, config, &env::process).unwrap();
    assert_eq!(prepared.notes, Vec::<String>::new(), "nothing has changed");
    let end = prepared.run().await;
    assert_eq!((end.report.succeeded, end.report.resumed), (3, 2));
}

#[tokio::test]
async fn a_row_that_a_person_declines_fails_alone_and_is_not_asked_again() {
    let mut stage = Stage::new(3);
    let (run, _) = stage.run();
    let [first, second, third] = stage.take(3).await.try_into().ok().unwrap();
    assert_eq!(second.prompt, "About text 1");
    first.answer(Ok("one"));
    second.answer(Err(Error::new(ErrorKind::Rejected, "the user declined")));
    third.answer(Ok("three"));
    let result = run.await.unwrap().unwrap();
    assert_eq!(rows(&result), [3, 2, 1, 0]);
    assert_eq!(
        result["failures"],
        json!([{"custom_id": "r1", "error": {"code": "rejected", "message": "the user declined"}}])
    );
    for unknown in ["usage", "cost_usd", "energy_kwh", "gwp_kgco2eq"] {
        assert_eq!(result[unknown], Value::Null, "{unknown}");
    }
    assert!(result["next"].as_str().unwrap().contains("retry_failed"));
    assert_eq!(stage.output()[1]["error"]["code"], "rejected");
    let (run, _) = stage.run();
    let result = run.await.unwrap().unwrap();
    assert_eq!(rows(&result), [3, 2, 1, 0]);
    let status = stage.status().await;
    assert_eq!(status["last_failure"]["error"]["code"], "rejected");
    let mut retried = lent();
    retried["retry_failed"] = json!(true);
    let (run, _) = stage.begin("run_file", retried);
    let asked = stage.next().await;
    assert_eq!(
        asked.prompt, "About text 1",
        "no other was asked in between"
    );
    asked.answer(Ok("two"));
    assert_eq!(rows(&run.await.unwrap().unwrap()), [3, 3, 0, 0]);
}

#[tokio::test]
async fn files_elsewhere_and_foreign_outputs_are_refused_before_anything_is_asked() {
    let mut stage = Stage::new(1);
    fs::write(stage.folder.path().join("mine.jsonl"), "{}\n").unwrap();
    fs::write(stage.folder.path().join("broken.json"), "{").unwrap();
    let absolute = Path::new("/etc/hostname").display().to_string();
    for (name, value, told) in [
        ("input", "../in.jsonl", "only folder"),
        ("input", absolute.as_str(), "only folder"),
        ("input", "-", "no stdin"),
        ("input", "none.jsonl", "there is no file none.jsonl"),
        ("output", "../out.jsonl", "only folder"),
        ("output", "-", "no stdin"),
        ("output", "mine.jsonl", "was not written by antiphon"),
        ("output", "out.txt", ".jsonl"),
        ("output", "in.jsonl", "the same file"),
        ("schema_file", "/etc/hostname", "only folder"),
        ("schema_file", "broken.json", "it is not JSON"),
        ("model", "nobody/knows", "nobody"),
    ] {
        let mut arguments = lent();
        arguments[name] = json!(value);
        let error = stage.call("run_file", arguments).await.unwrap_err();
        assert!(error.message().contains(told), "{name} {value}: {error}");
        assert!(!error.message().contains("--fresh"), "{error}");
    }
    let mut arguments = lent();
    arguments["schema"] = json!({"type": "object"});
    arguments["schema_file"] = json!("broken.json");
    let error = stage.call("run_file", arguments).await.unwrap_err();
    assert!(error.message().contains("give one of them"), "{error}");
    let error = stage
        .call("job_status", json!({"output": "../x.jsonl"}))
        .await
        .unwrap_err();
    assert!(error.message().contains("only folder"), "{error}");
    assert!(stage.asked.try_recv().is_err());
    assert!(!stage.folder.path().join("out.jsonl").exists());
}
