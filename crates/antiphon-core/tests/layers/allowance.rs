//! Requests and tokens per minute at whose door nobody waits.

use std::time::Duration;

use antiphon_core::{
    ChatRequest, Error, ErrorKind, SystemClock, Usage,
    layers::admit::{Allowance, AllowanceConfig, Exceeded},
};
use proptest::prelude::*;

fn usage(input: u64, output: u64) -> Option<Usage> {
    Some(Usage {
        input_tokens: input,
        output_tokens: output,
        ..Usage::default()
    })
}

fn request() -> ChatRequest {
    ChatRequest::prompt("x".repeat(400)).with_param("max_tokens", 100.into())
}

#[tokio::test(start_paused = true)]
async fn a_whole_minute_may_be_used_at_once_and_then_nothing() {
    let config = AllowanceConfig {
        rpm: Some(10),
        tpm: None,
    };
    let allowance = Allowance::new(config, SystemClock::shared());
    for _ in 0..10 {
        allowance.take(&request()).unwrap().answered(usage(1, 1));
    }
    let Err(Exceeded::Requests { rpm: 10, after }) = allowance.take(&request()) else {
        panic!("an eleventh passed");
    };
    assert!(after > Duration::from_secs(59) && after <= Duration::from_millis(60_100));
    tokio::time::advance(after).await;
    allowance.take(&request()).unwrap().answered(usage(1, 1));
    let limits = allowance.limits();
    assert_eq!(limits.requests.remaining, Some(9.0));
    assert!(limits.requests.reset.unwrap() > Duration::from_secs(59));
    assert_eq!(limits.tokens.limit, None);
}

#[tokio::test(start_paused = true)]
async fn a_share_is_settled_by_its_end() {
    let config = AllowanceConfig {
        rpm: Some(100),
        tpm: Some(1000),
    };
    let allowance = Allowance::new(config, SystemClock::shared());
    let left = || {
        let limits = allowance.limits();
        (
            limits.requests.remaining.unwrap(),
            limits.tokens.remaining.unwrap(),
        )
    };
    let share = allowance.take(&request()).unwrap();
    assert_eq!(left(), (99.0, 800.0));
    // nothing was sent for it
    drop(share);
    assert_eq!(left(), (100.0, 1000.0));
    let stopped = Error::stopped("drained");
    allowance.take(&request()).unwrap().failed(&stopped);
    assert_eq!(left(), (100.0, 1000.0));
    // an answer that was at hand
    allowance.take(&request()).unwrap().answered(None);
    assert_eq!(left(), (99.0, 1000.0));
    // more than was reserved
    allowance.take(&request()).unwrap().answered(usage(300, 50));
    assert_eq!(left(), (98.0, 650.0));
    let refused = Error::new(ErrorKind::Overloaded, "busy").with_spent(Default::default());
    allowance.take(&request()).unwrap().failed(&refused);
    assert_eq!(left(), (98.0, 650.0));
}

#[test]
fn an_input_beyond_the_limit_is_never_let_through() {
    let config = AllowanceConfig {
        rpm: None,
        tpm: Some(100),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let allowance = Allowance::new(config, SystemClock::shared());
    let large = ChatRequest::prompt("x".repeat(404));
    assert_eq!(
        allowance.take(&large).unwrap_err(),
        Exceeded::TooLarge {
            tpm: 100,
            input: 101
        }
    );
    // a guess at the answer shuts nobody out
    allowance.take(&ChatRequest::prompt("x")).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is asked when: no 60 s hold more than the limits, and who comes again when told to is let in.
    #[test]
    fn no_minute_has_more_than_the_limits(
        calls in prop::collection::vec((0u64..9_000, 1u64..200, any::<bool>()), 1..120),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let clock = SystemClock::shared();
            let config = AllowanceConfig { rpm: Some(8), tpm: Some(1500) };
            let allowance = Allowance::new(config, clock.clone());
            let mut granted: Vec<(Duration, u64)> = Vec::new();
            for (pause, tokens, comes_again) in calls {
                tokio::time::advance(Duration::from_millis(pause)).await;
                let request = ChatRequest::prompt("x".repeat(tokens as usize * 4))
                    .with_param("max_tokens", tokens.into());
                let mut taken = allowance.take(&request);
                if let (Err(Exceeded::Requests { after, .. } | Exceeded::Tokens { after, .. }), true) =
                    (&taken, comes_again)
                {
                    tokio::time::advance(*after).await;
                    taken = allowance.take(&request);
                    prop_assert!(taken.is_ok(), "{taken:?}");
                }
                if let Ok(share) = taken {
                    // never more than was reserved, so that the limits hold exactly
                    share.answered(usage(tokens, 1));
                    granted.push((clock.now().since_start(), tokens + 1));
                }
            }
            for (start, _) in &granted {
                let within = granted.iter().filter(|(at, _)| at >= start && *at < *start + Duration::from_secs(60));
                let (count, tokens) = within.fold((0, 0), |(count, sum), (_, tokens)| (count + 1, sum + tokens));
                prop_assert!(count <= 8 && tokens <= 1500, "{count} {tokens}");
            }
            Ok(())
        })?;
    }
}
