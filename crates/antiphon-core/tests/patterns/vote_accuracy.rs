//! Votes are right more often than single answers, and `docs/votes.md` shows what was measured.

#[path = "../../examples/vote_accuracy/accuracy.rs"]
mod accuracy;
#[path = "../../examples/vote_accuracy/noisy.rs"]
mod noisy;

const PAGE: &str = include_str!("../../../../docs/votes.md");

#[tokio::test]
async fn a_field_wise_vote_of_five_beats_the_single_answer() {
    let measured = accuracy::by_field().await;
    for (field, shares) in &measured.rows {
        let [single, three, five, seven] = shares[..] else {
            panic!("{shares:?}")
        };
        assert!(five > single + 0.03, "{field}: {shares:?}");
        assert!(three > single && seven > three, "{field}: {shares:?}");
    }
    assert!(PAGE.contains(&measured.to_string()), "{measured}");
}

#[tokio::test]
async fn polls_that_stop_early_save_calls_and_no_winner() {
    let measured = accuracy::of_polls().await;
    for row in &measured.0 {
        assert_eq!(row.differing, 0, "{row:?}");
        assert!(row.saved > 0.1, "{row:?}");
    }
    assert!(PAGE.contains(&measured.to_string()), "{measured}");
}
