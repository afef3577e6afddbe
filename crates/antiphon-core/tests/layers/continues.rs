use std::{sync::Arc, time::Duration};

use antiphon_core::{
    BoxFuture, ChatRequest, ChatResponse, Error, ErrorKind, Fingerprint, Model, Reply, SharedModel,
    layers::{
        cache::{CacheConfig, CacheKey, ResponseCache},
        coalesce::CoalesceConfig,
        spend::{BudgetConfig, Budgets, SpendConfig},
    },
    patterns::{Rescue, RescueMode},
    stack::StackConfig,
};

use crate::scripted::{at_most, bench_of, error};

/// Continues what it is asked in a certain way.
#[derive(Debug)]
struct Continuing;

impl Model for Continuing {
    fn name(&self) -> &str {
        "test/continuing"
    }

    fn continues(&self, request: &ChatRequest) -> bool {
        request.max_output_tokens() == Some(7)
    }

    fn call(&self, _: ChatRequest) -> BoxFuture<'_, Result<ChatResponse, Error>> {
        Box::pin(async { Err(error(ErrorKind::BadRequest)) })
    }
}

#[derive(Debug)]
struct Empty;

impl ResponseCache for Empty {
    fn get(&self, _: CacheKey) -> BoxFuture<'_, Option<Reply>> {
        Box::pin(async { None })
    }

    fn put(&self, _: CacheKey, _: &Reply) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test(start_paused = true)]
async fn every_layer_tells_whether_its_leaf_continues() {
    let key = |request: &ChatRequest| Fingerprint::of(&["test"], request);
    let config = StackConfig {
        deadline: Some(Duration::from_secs(1)),
        coalesce: Some(CoalesceConfig::default()),
        cache: Some(CacheConfig::new(Arc::new(Empty), key)),
        spend: Some(SpendConfig {
            budget: Some(Budgets::new().open(BudgetConfig::default())),
            max_output_tokens: None,
        }),
        ..StackConfig::default()
    };
    let stack = bench_of(Arc::new(Continuing), at_most(1), &config).model;
    let model: SharedModel = Arc::new(Rescue::new(stack, RescueMode::Verify));
    let asked = |tokens| model.continues(&ChatRequest::prompt("x").with_max_tokens(tokens));
    assert!(asked(7) && !asked(8));
}
