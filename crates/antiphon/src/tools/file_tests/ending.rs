//! How jobs end, and how they go on.

use super::*;

#[tokio::test]
async fn rows_of_a_client_that_goes_stay_pending() {
    let mut stage = Stage::new(3);
    let (run, _) = stage.run();
    let [first, second, third] = stage.take(3).await.try_into().ok().unwrap();
    first.answer(Ok("one"));
    second.answer(Err(gone()));
    drop(third);
    let result = run.await.unwrap().unwrap();
    assert_eq!(rows(&result), [3, 1, 0, 2]);
    assert!(result["stopped"].as_str().unwrap().contains("gone"));
    let status = stage.status().await;
    assert_eq!(
        (&status["state"], rows(&status)),
        (&json!("stopped"), [3, 1, 0, 2])
    );
    let (run, _) = stage.run();
    for asked in stage.take(2).await {
        assert_ne!(asked.prompt, "About text 0", "it was answered");
        asked.answer(Ok("later"));
    }
    assert_eq!(rows(&run.await.unwrap().unwrap()), [3, 3, 0, 0]);
}

#[tokio::test]
async fn a_call_that_is_cancelled_keeps_what_was_answered_and_the_next_goes_on() {
    let mut stage = Stage::new(3);
    let (run, client) = stage.run();
    let [first, second, third] = stage.take(3).await.try_into().ok().unwrap();
    first.answer(Ok("one"));
    client.cancel();
    let result = run.await.unwrap().unwrap();
    assert_eq!(rows(&result), [3, 1, 0, 2]);
    assert_eq!(result["stopped"], "the call was given up");
    assert_eq!(stage.output().len(), 1);
    assert!(
        second.answer.is_closed() && third.answer.is_closed(),
        "they are withdrawn"
    );
    let (run, _) = stage.run();
    let asked = stage.take(2).await;
    assert_eq!(asked[0].prompt, "About text 1");
    asked
        .into_iter()
        .for_each(|asked| asked.answer(Ok("later")));
    assert_eq!(rows(&run.await.unwrap().unwrap()), [3, 3, 0, 0]);
    assert_eq!(stage.output().len(), 3);
}

#[tokio::test]
async fn a_call_whose_future_is_dropped_leaves_the_job_fit_for_the_next() {
    let mut stage = Stage::new(3);
    for round in 0..3 {
        let (run, _) = stage.run();
        let mut asked = stage.take(3 - round).await;
        assert_eq!(asked[0].prompt, format!("About text {round}"));
        asked.remove(0).answer(Ok("it"));
        if round < 2 {
            // at once, while the answer is on its way to the ledger
            run.abort();
            assert!(run.await.unwrap_err().is_cancelled());
        } else {
            assert_eq!(rows(&run.await.unwrap().unwrap()), [3, 3, 0, 0]);
        }
    }
    assert_eq!(stage.output().len(), 3);
}

#[tokio::test]
async fn failures_stand_while_a_call_is_made_again_and_again() {
    let mut stage = Stage::new(2);
    let (run, client) = stage.run();
    let [first, _second] = stage.take(2).await.try_into().ok().unwrap();
    let broken = Error::new(ErrorKind::ServerError, "broken").with_should_retry(Some(false));
    first.answer(Err(broken));
    client.cancel();
    assert_eq!(rows(&run.await.unwrap().unwrap()), [2, 0, 1, 1]);
    let (run, client) = stage.run();
    assert_eq!(stage.next().await.prompt, "About text 1");
    client.cancel();
    assert_eq!(rows(&run.await.unwrap().unwrap()), [2, 0, 1, 1]);
    let (run, _) = stage.run();
    let asked = stage.next().await;
    assert_eq!(asked.prompt, "About text 1");
    asked.answer(Ok("two"));
    let result = run.await.unwrap().unwrap();
    assert_eq!(rows(&result), [2, 1, 1, 0]);
    assert!(result["next"].as_str().unwrap().contains("once more"));
    // that one came to its end: what may pass is asked once more
    let (run, _) = stage.run();
    let asked = stage.next().await;
    assert_eq!(asked.prompt, "About text 0");
    asked.answer(Ok("one"));
    assert_eq!(rows(&run.await.unwrap().unwrap()), [2, 2, 0, 0]);
}

#[tokio::test]
async fn failed_rows_of_a_cancelled_call_are_asked_again_where_the_next_says_so() {
    let mut stage = Stage::new(2);
    let (run, client) = stage.run();
    let [first, _second] = stage.take(2).await.try_into().ok().unwrap();
    first.answer(Err(Error::new(ErrorKind::Rejected, "the user declined")));
    client.cancel();
    assert_eq!(rows(&run.await.unwrap().unwrap()), [2, 0, 1, 1]);
    let mut retried = lent();
    retried["retry_failed"] = json!(true);
    let (run, _) = stage.begin("run_file", retried);
    for (row, asked) in stage.take(2).await.into_iter().enumerate() {
        assert_eq!(asked.prompt, format!("About text {row}"));
        asked.answer(Ok("it"));
    }
    assert_eq!(rows(&run.await.unwrap().unwrap()), [2, 2, 0, 0]);
}

#[tokio::test]
async fn a_job_runs_once_at_a_time_and_its_status_is_told_meanwhile() {
    let mut stage = Stage::new(2);
    let (run, _) = stage.run();
    let asked = stage.take(2).await;
    let status = stage.status().await;
    assert_eq!(status["state"], "running");
    assert_eq!(rows(&status), [2, 0, 0, 2]);
    assert!(status["next"].as_str().unwrap().contains("this server"));
    let refused = stage.call("run_file", lent()).await.unwrap_err();
    assert!(refused.message().contains("job_status"), "{refused}");
    asked.into_iter().for_each(|asked| asked.answer(Ok("it")));
    assert_eq!(rows(&run.await.unwrap().unwrap()), [2, 2, 0, 0]);
    // another process
    let state = stage.folder.path().join("out.jsonl.antiphon");
    let other = antiphon_store::StateDir::open(&state).unwrap();
    let status = stage.status().await;
    assert_eq!(
        (&status["state"], rows(&status)),
        (&json!("running"), [2, 2, 0, 0])
    );
    assert!(status["next"].as_str().unwrap().contains("another process"));
    let refused = stage.call("run_file", lent()).await.unwrap_err();
    assert!(refused.message().contains("job_status"), "{refused}");
    drop(other);
    assert_eq!(stage.status().await["state"], "finished");
}
