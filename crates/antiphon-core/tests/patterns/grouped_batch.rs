use antiphon_core::{
    ChatRequest, ErrorKind,
    patterns::{GroupedBatch, Grouping, Tier},
};

use crate::rehearsed::{Rehearsed, echo, failed, said, words};

/// Requests of four bytes and so many output tokens: one token and these.
fn requests(caps: &[u64]) -> Vec<ChatRequest> {
    let numbered = caps.iter().enumerate();
    numbered
        .map(|(index, cap)| ChatRequest::from(format!("{index:04}")).with_max_tokens(*cap))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn the_cheap_model_answers_when_the_budget_is_gone() {
    let main = Rehearsed::new(|request| async move {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        Ok(said(words(&request)))
    });
    let cheap = echo();
    let grouping = Grouping::new(40, 2).with_token_budget(70);
    let result = GroupedBatch::new(main.clone(), cheap.clone(), grouping)
        .run(requests(&[14, 14, 14, 14, 14, 14, 14]))
        .await;
    // 15 tokens each: pairs of 30; after two pairs 60 are gone, and a third would need 90
    let tiers: Vec<_> = result
        .groups
        .iter()
        .map(|group| (group.items.clone(), group.tier))
        .collect();
    use Tier::{Fallback, Main};
    assert_eq!(
        tiers,
        [
            (0..2, Main),
            (2..4, Main),
            (4..6, Fallback),
            (6..7, Fallback)
        ]
    );
    assert_eq!((main.calls(), cheap.calls()), (4, 3));
    assert_eq!(main.peak(), 2);
    assert_eq!(result.spent, 60.0);
    for (index, outcome) in result.outcomes.iter().enumerate() {
        assert_eq!(outcome.index, index);
        assert_eq!(
            outcome.result.as_ref().unwrap().text(),
            format!("{index:04}")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_really_used_decides() {
    // thought to use 1001 tokens each, they use 15
    let (main, cheap) = (echo(), echo());
    let grouping =
        Grouping::new(5000, 1).with_budget(1100.0, |usage| usage.total() as f64, |_| 0.0);
    let result = GroupedBatch::new(main.clone(), cheap.clone(), grouping)
        .run(requests(&[1000; 5]))
        .await;
    assert_eq!((main.calls(), cheap.calls()), (5, 0));
    assert_eq!(result.spent, 75.0);
}

#[tokio::test(start_paused = true)]
async fn failures_stay_at_their_index() {
    let main = Rehearsed::new(|request| async move {
        match words(&request).as_str() {
            "0001" => Err(failed(ErrorKind::BadRequest)),
            text => Ok(said(text)),
        }
    });
    let result = GroupedBatch::new(main, echo(), Grouping::new(u64::MAX, 2))
        .run(requests(&[1; 3]))
        .await;
    let failed: Vec<_> = result
        .outcomes
        .iter()
        .map(|outcome| outcome.result.is_err())
        .collect();
    assert_eq!(failed, [false, true, false]);
    assert_eq!(result.groups.len(), 2);
}
