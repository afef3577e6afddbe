//! What can be told of a row before it is sent.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use antiphon_core::{
    ChatRequest, Usage, Usd,
    account::{Billed, Worst, choices, estimate::Foreseen, most_output_tokens},
};
use antiphon_providers::tokens::Count;

use super::impacts::{Both, ImpactsForeseen};
use crate::session::{Asked, Resolved, lay_beneath};

/// Where nothing is known, an answer is taken to have so many tokens in the mean over all rows: labels have about five, and
/// more than 4,000 is rare even of models that think first.
const USUAL_ANSWER: (u64, u64) = (5, 4_000);
/// The latency of an answer of which none was seen: it bounds nothing.
const ANY_LATENCY: Duration = Duration::from_secs(24 * 3600);
/// Times that an answer off its schema is asked for.
const ASKED_WITH_SCHEMA: u64 = 3;

/// A row that can be sent: its tokens and cost as far as they can be told.
#[derive(Debug)]
pub(super) struct RowForeseen {
    /// Its model, as the row names it.
    pub(super) model: Arc<Resolved>,
    pub(super) input: Foreseen,
    pub(super) output: Foreseen,
    /// `None` where a price is not known.
    pub(super) cost: Option<Foreseen>,
    /// `None` where a model's energy is not known.
    pub(super) impacts: Option<ImpactsForeseen>,
    /// Whether the provider will count the same input tokens.
    pub(super) is_exact: bool,
    /// Parts whose tokens nobody can tell: images, audio, files.
    pub(super) unknown_parts: u64,
}

/// One call of a row.
struct CallForeseen {
    input: Count,
    /// At least and at most, where nothing is known of such answers.
    output: (u64, u64),
    cap: Option<u64>,
}

impl CallForeseen {
    /// Whether its input has a bound, and nothing else may be called in its place.
    fn is_bounded(&self, asked: &Asked) -> bool {
        self.input.unknown_parts == 0 && !asked.decides && !asked.may_fall_back
    }
}

impl RowForeseen {
    pub(super) fn of(model: Arc<Resolved>, request: &ChatRequest, now: SystemTime) -> Self {
        let mut row = Self {
            input: Foreseen::NOTHING,
            output: Foreseen::NOTHING,
            cost: Some(Foreseen::NOTHING),
            impacts: Some(ImpactsForeseen::nothing()),
            is_exact: true,
            unknown_parts: 0,
            model: model.clone(),
        };
        let again = if request.schema.is_some() {
            ASKED_WITH_SCHEMA
        } else {
            1
        };
        for asked in &model.asked {
            let call = row.call(asked, request);
            row.add(asked, &call, request, again, now);
        }
        row
    }

    /// A call to one model. Whoever decides reads the answers of the calls before it, too.
    fn call(&self, asked: &Asked, request: &ChatRequest) -> CallForeseen {
        let with_params = (!asked.params.is_empty()).then(|| {
            let mut request = request.clone();
            lay_beneath(&asked.params, &mut request);
            request
        });
        let request = with_params.as_ref().unwrap_or(request);
        let mut input = asked.target.counter.count(request);
        if asked.decides {
            input.low = input.low.saturating_add(self.output.low as u64);
            input.high = input.high.saturating_add(self.output.high as u64);
        }
        let cap = most_output_tokens(request).or(asked.target.usual_cap);
        let times = choices(request);
        let within = |tokens: u64| tokens.saturating_mul(times).min(cap.unwrap_or(u64::MAX));
        CallForeseen {
            input,
            output: (within(USUAL_ANSWER.0), within(USUAL_ANSWER.1)),
            cap,
        }
    }

    fn add(
        &mut self,
        asked: &Asked,
        call: &CallForeseen,
        request: &ChatRequest,
        again: u64,
        now: SystemTime,
    ) {
        let times = f64::from(asked.times);
        let input = &call.input;
        self.is_exact &= input.is_exact() && !asked.decides;
        self.unknown_parts += input.unknown_parts * u64::from(asked.times);
        let is_bounded = call.is_bounded(asked);
        let of_input = Foreseen {
            told: input.tokens as f64,
            low: input.low as f64,
            high: input.high as f64,
            most: is_bounded.then_some(input.high.saturating_mul(again) as f64),
        };
        let of_output = Foreseen {
            told: 0.0,
            low: call.output.0 as f64,
            high: call.output.1 as f64,
            most: call
                .cap
                .filter(|_| !asked.may_fall_back)
                .map(|cap| cap.saturating_mul(again) as f64),
        };
        add(&mut self.input, &of_input, times);
        add(&mut self.output, &of_output, times);
        let cost = cost(asked, call, request, again, now);
        self.cost = self.cost.zip(cost).map(|(mut sum, cost)| {
            add(&mut sum, &cost, times);
            sum
        });
        let impacts = impacts(asked, call, again);
        self.impacts = self
            .impacts
            .zip(impacts)
            .map(|(sum, call)| sum.and(&call, times));
    }
}

fn cost(
    asked: &Asked,
    call: &CallForeseen,
    request: &ChatRequest,
    again: u64,
    now: SystemTime,
) -> Option<Foreseen> {
    let tier = request.params.get("service_tier");
    let price = |input_tokens, output_tokens| {
        let billed = Billed {
            reported: None,
            service_tier: tier.and_then(|tier| tier.as_str()),
            usage: Usage {
                input_tokens,
                output_tokens,
                ..Usage::default()
            },
            sent: now,
            latency: Duration::ZERO,
        };
        asked.target.rates.cost(&billed).map(Usd::as_f64)
    };
    let input = &call.input;
    let worst = call.cap.filter(|_| call.is_bounded(asked)).and_then(|cap| {
        asked.target.rates.most(&Worst {
            input_tokens: Some(input.high),
            output_tokens: cap,
            now,
            within: Duration::ZERO,
        })
    });
    Some(Foreseen {
        told: price(input.tokens, 0)?,
        low: price(input.low, call.output.0)?,
        high: price(input.high, call.output.1)?,
        most: worst.map(|worst| worst.times(again).as_f64()),
    })
}

fn impacts(asked: &Asked, call: &CallForeseen, again: u64) -> Option<ImpactsForeseen> {
    let of_answer = |output_tokens: u64, latency: Duration| -> Option<Both> {
        let billed = Billed {
            reported: None,
            service_tier: None,
            usage: Usage {
                output_tokens,
                ..Usage::default()
            },
            sent: SystemTime::UNIX_EPOCH,
            latency,
        };
        let impacts = asked.target.rates.impacts(&billed)?;
        Some((impacts.energy_kwh, impacts.gwp_kgco2eq))
    };
    let cap = call.cap.filter(|_| !asked.may_fall_back);
    Some(ImpactsForeseen::of_call(
        of_answer(call.output.0, Duration::ZERO)?,
        of_answer(call.output.1, ANY_LATENCY)?,
        cap.and_then(|cap| of_answer(cap.saturating_mul(again), ANY_LATENCY)),
    ))
}

pub(super) fn add(sum: &mut Foreseen, call: &Foreseen, times: f64) {
    sum.told += call.told * times;
    sum.low += call.low * times;
    sum.high += call.high * times;
    sum.most = sum
        .most
        .zip(call.most)
        .map(|(sum, most)| sum + most * times);
}
