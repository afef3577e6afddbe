//! What an attempt may cost at most, and what it did cost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use serde_json::Value;

use super::{budgets::Budget, purse::Settled};
use crate::{
    ChatRequest, Clock, Error, ErrorKind, Usage, Usd,
    account::{
        Billed, Rates, Worst, is_standard_tier, most_embedded_tokens, most_input_tokens,
        most_output_tokens, most_verbatim_tokens,
    },
    chat::Charge,
};

/// The output cap of requests that name none, where a budget must be kept.
pub const DEFAULT_MAX_OUTPUT_TOKENS: u64 = 4096;
/// Some prices change by the hour. An attempt that holds its worst case may have to wait for its turn, and is sent at any
/// hour of the day.
const WAITING: Duration = Duration::from_secs(24 * 3600);
/// Kinds of tools that run on this side, at no fee.
const OWN_TOOLS: [&str; 2] = ["function", "custom"];
/// Parameters by which a provider does more than answer, for which it has other prices.
const OTHER_PRICES: [&str; 10] = [
    "audio",
    "connectors",
    "container",
    "data_sources",
    "google_search",
    // others that may answer in its place, at their prices
    "models",
    "plugins",
    // one that is stored may bring tools of the provider
    "prompt",
    "search_parameters",
    "web_search_options",
];

/// Of these, those that have a fee whatever else they say.
const FEES: [&str; 4] = [
    "google_search",
    "plugins",
    "search_parameters",
    "web_search_options",
];
/// Beginnings of the types of tools that the provider runs for a fee.
const FEE_TOOLS: [&str; 6] = [
    "web_search",
    "x_search",
    "file_search",
    "code_interpreter",
    "code_execution",
    "image_generation",
];
/// Answers from one region, or faster ones, at a multiple of the price (Anthropic).
const MULTIPLES: [&str; 2] = ["inference_geo", "speed"];

/// Names under which requests cap their output.
pub(super) const OUTPUT_CAPS: [&str; 3] =
    ["max_completion_tokens", "max_tokens", "max_output_tokens"];
/// Numbers of answers that a request asks for.
const CHOICES: [&str; 2] = ["n", "best_of"];

/// How attempts are paid for.
#[derive(Clone, Debug, Default)]
pub struct SpendConfig {
    /// Who pays for every attempt, beside the payer that a request names.
    pub budget: Option<Budget>,
    /// The output cap sent with requests that name none. `None`: [`DEFAULT_MAX_OUTPUT_TOKENS`] where a budget has a cap, else
    /// whatever the provider does.
    pub max_output_tokens: Option<u64>,
}

/// Refuses what costs more, or otherwise, than its tokens at the list price.
///
/// # Errors
/// [`ErrorKind::BadRequest`] that names the parameter.
pub fn check_bounded(request: &ChatRequest) -> Result<(), Error> {
    let refuse = |what: &str| {
        let message =
            format!("a budget cannot bound what {what} costs: leave it out, or the budget");
        Err(Error::new(ErrorKind::BadRequest, message))
    };
    let given = |name: &str| request.params.get(name).filter(|value| !value.is_null());
    if let Some(name) = OTHER_PRICES.iter().find(|name| given(name).is_some()) {
        return refuse(&format!("`{name}`"));
    }
    let tier = given("service_tier").and_then(Value::as_str);
    if let Some(tier) = tier.filter(|tier| !is_standard_tier(tier)) {
        return refuse(&format!("`service_tier` \"{tier}\""));
    }
    let is_multiple = |name: &&&str| given(name).is_some_and(|value| !is_usual(value));
    if let Some(name) = MULTIPLES.iter().find(is_multiple) {
        return refuse(&format!("`{name}`"));
    }
    // servers read what is no whole number each in its own way: -1 may mean without end, and "9" nine
    let no_number = |name: &&&str| given(name).is_some_and(|value| value.as_u64().is_none());
    let mut numbers = OUTPUT_CAPS.iter().chain(&CHOICES);
    if let Some(name) = numbers.find(no_number) {
        let message = format!(
            "a budget needs whole numbers: `{name}` is {}",
            request.params.get(*name).unwrap_or(&Value::Null)
        );
        return Err(Error::new(ErrorKind::BadRequest, message));
    }
    if given("modalities").is_some_and(|kinds| !is_text(kinds)) {
        return refuse("an answer that is not text");
    }
    match given("tools").and_then(foreign_tool) {
        Some(tool) => refuse(&format!("the tool {tool} of the provider")),
        None => Ok(()),
    }
}

/// Whether an answer is known to cost more than its tokens at the list price, so that its cost is not known. It asks for
/// less certainty than [`check_bounded`], which refuses whatever might.
pub(in crate::layers) fn has_fees(request: &ChatRequest) -> bool {
    let given = |name: &&str| request.params.get(*name).filter(|value| !value.is_null());
    let is_off = |value: &Value| value.get("mode").is_some_and(|mode| mode == "off");
    let tools = given(&"tools").and_then(Value::as_array);
    let has_fee = |tool: &Value| {
        let kind = tool.get("type").and_then(Value::as_str).unwrap_or_default();
        FEE_TOOLS.iter().any(|begin| kind.starts_with(begin))
    };
    FEES.iter().filter_map(given).any(|value| !is_off(value))
        || MULTIPLES
            .iter()
            .filter_map(given)
            .any(|value| !is_usual(value))
        || given(&"modalities").is_some_and(|kinds| !is_text(kinds))
        || tools.into_iter().flatten().any(has_fee)
}

/// The most tokens that are read and written; `None`: as many as the context window has.
///
/// A request in its caller's own words is sent in these or, where the provider speaks another wire, translated: the larger
/// counts.
fn most_tokens(request: &ChatRequest) -> Result<(Option<u64>, u64), Error> {
    let own = request.own_words();
    if request.charge() == Charge::Input {
        let fields = own.map(|(_, fields)| fields);
        // each of many inputs may be as long as the window, which bounds nothing then
        let most = fields.and_then(most_embedded_tokens).ok_or_else(|| {
            let message = "a budget cannot bound what this request costs: its `input` is neither text nor tokens; leave the budget out, or what is no text";
            Error::new(ErrorKind::BadRequest, message)
        })?;
        return Ok((Some(most), 0));
    }
    let own = own.map(|(_, fields)| most_verbatim_tokens(fields));
    let translated = most_input_tokens(request);
    let input = match own {
        Some(own) => own
            .zip(translated)
            .map(|(own, translated)| own.max(translated)),
        None => translated,
    };
    Ok((input, most_output_tokens(request).unwrap_or(u64::MAX)))
}

fn is_usual(value: &Value) -> bool {
    value == "global" || value == "standard"
}

fn is_text(kinds: &Value) -> bool {
    match kinds {
        Value::Array(kinds) => kinds.iter().all(|kind| kind == "text"),
        kinds => kinds == "text",
    }
}

/// What runs elsewhere, or may: its type, or else all that is said of it.
fn foreign_tool(tools: &Value) -> Option<Value> {
    let is_own = |tool: &&Value| match tool.get("type").filter(|kind| !kind.is_null()) {
        Some(kind) => OWN_TOOLS.iter().any(|own| kind == own),
        None => ["function", "input_schema", "name"]
            .iter()
            .any(|field| tool.get(field).is_some()),
    };
    let Some(tools) = tools.as_array() else {
        return Some(tools.clone());
    };
    let foreign = tools.iter().find(|tool| !is_own(tool))?;
    Some(foreign.get("type").unwrap_or(foreign).clone())
}

/// Refuses a model whose price is not known.
///
/// # Errors
/// [`ErrorKind::BadRequest`] that names it, and says how to give one, after a `hint` of the caller's (`did you mean this? `, or
/// nothing).
pub fn check_priced(
    model: &str,
    rates: Option<&dyn Rates>,
    clock: &dyn Clock,
    hint: impl FnOnce() -> String,
) -> Result<(), Error> {
    let nothing = Worst {
        input_tokens: Some(0),
        output_tokens: 0,
        now: clock.wall(),
        within: Duration::ZERO,
    };
    match rates.and_then(|rates| rates.most(&nothing)) {
        Some(_) => Ok(()),
        None => Err(Error::new(
            ErrorKind::BadRequest,
            format!(
                "a budget needs prices, and that of {model} is not known: {hint}give it under [prices.\"{model}\"] in antiphon.toml",
                hint = hint()
            ),
        )),
    }
}

/// The prices of one target, and what was learned about them.
#[derive(Debug)]
pub(super) struct Prices {
    model: String,
    rates: Option<Arc<dyn Rates>>,
    within: Duration,
    clock: Arc<dyn Clock>,
    /// The most that an answer has cost, in thousandths of its hold; at least 1000.
    surprise: AtomicU64,
}

impl Prices {
    pub(super) fn new(
        model: &str,
        rates: Option<Arc<dyn Rates>>,
        within: Duration,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            model: model.to_owned(),
            rates,
            within: within.saturating_add(WAITING),
            clock,
            surprise: AtomicU64::new(1000),
        }
    }

    /// The most that an attempt may cost.
    ///
    /// # Errors
    /// [`ErrorKind::BadRequest`]: there is no bound.
    pub(super) fn worst(&self, request: &ChatRequest) -> Result<Usd, Error> {
        check_bounded(request)?;
        // what only the caller's own words say is sent as well, and nobody here has read it
        if let Some((_, fields)) = request.own_words() {
            let mut told = ChatRequest::new(Vec::new());
            told.params = Arc::new(fields.clone());
            check_bounded(&told)?;
        }
        let (input_tokens, output_tokens) = most_tokens(request)?;
        let worst = Worst {
            input_tokens,
            output_tokens,
            now: self.clock.wall(),
            within: self.within,
        };
        let most = self.rates.as_ref().and_then(|rates| rates.most(&worst));
        if let Some(most) = most {
            return Ok(self.widened(most));
        }
        check_priced(
            &self.model,
            self.rates.as_deref(),
            &*self.clock,
            String::new,
        )?;
        let message = match worst.input_tokens {
            None => format!(
                "a budget cannot bound what this request costs: it holds more than text, and the context window of {} is not known",
                self.model
            ),
            Some(_) if self.is_priced_without_output(&worst) => format!(
                "a budget cannot bound what this request costs: an output of {} tokens is too much",
                worst.output_tokens
            ),
            Some(_) => format!(
                "a budget needs prices, and those of {} are not known for all of the time until it is answered",
                self.model
            ),
        };
        Err(Error::new(ErrorKind::BadRequest, message))
    }

    fn is_priced_without_output(&self, worst: &Worst) -> bool {
        let worst = Worst {
            output_tokens: 0,
            ..*worst
        };
        let most = self.rates.as_ref().and_then(|rates| rates.most(&worst));
        most.is_some()
    }

    /// What an answer means for what it holds.
    pub(super) fn settled(&self, cost: Option<Usd>, held: Usd) -> Settled {
        match cost {
            Some(cost) => {
                self.learn(cost, held);
                Settled::Cost(cost)
            }
            None => Settled::Keep,
        }
    }

    /// The cost of an answer that nobody has priced yet, as it was dropped before its very end.
    pub(super) fn cost(
        &self,
        usage: Option<Usage>,
        reported: Option<&str>,
        service_tier: Option<&str>,
    ) -> Option<Usd> {
        let billed = Billed {
            reported,
            service_tier,
            usage: usage?,
            sent: self.clock.wall(),
            latency: Duration::ZERO,
        };
        self.rates.as_ref()?.cost(&billed)
    }

    fn learn(&self, cost: Usd, held: Usd) {
        if cost > held && held > Usd::ZERO {
            let thousandths = (u128::from(cost.picos()) * 1000).div_ceil(held.picos().into());
            // of the bound as it was without surprises
            let before = u128::from(self.surprise.load(Relaxed));
            let factor = (thousandths * before).div_ceil(1000);
            let factor = u64::try_from(factor).unwrap_or(u64::MAX);
            self.surprise.fetch_max(factor, Relaxed);
        }
    }

    fn widened(&self, most: Usd) -> Usd {
        let factor = u128::from(self.surprise.load(Relaxed));
        let picos = (u128::from(most.picos()) * factor).div_ceil(1000);
        Usd::from_picos(u64::try_from(picos).unwrap_or(u64::MAX))
    }
}
