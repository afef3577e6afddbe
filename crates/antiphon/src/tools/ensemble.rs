//! `ensemble`: several answers to one question, then one decision.

use std::sync::Arc;

use antiphon_core::{
    ChatRequest, Error, Reply, Schema, SharedModel,
    chat::{Decision, Member},
    patterns::{
        ensemble::{Decider, Ensemble as Pattern, EnsembleConfig},
        vote::VoteOnFields,
    },
};
use antiphon_mcp::Call;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Models, facts,
    spending::{Failure, Spending},
    typed::TypedTool,
    votes::{Agreement, VoteCount, agreement, votes},
    watched::Watch,
};
use crate::Usd;

/// Answers of one call: more are hardly ever of use, and each is paid for or approved.
const MOST_ANSWERS: usize = 64;

/// The tool.
pub(super) struct Ensemble;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// What is asked. The model sees nothing but this.
    #[schemars(length(min = 1))]
    prompt: String,
    /// How many independent answers, from 1 to 64. 3 to 7 are usual.
    #[schemars(range(min = 1, max = 64))]
    n: usize,
    /// JSON Schema that every answer must fit, of `"type": "object"`. Then the result has `parsed`.
    schema: Option<Map<String, Value>>,
    /// How the answers become one. decide (usual): one more call takes the best or merges several. judge: one more call
    /// takes the best as it stands. synthesize: one more call writes a new answer out of all. vote: no further call, most
    /// answers win; with `schema` field by field, else only equal texts count together, so ask for very short answers.
    decider: Option<How>,
    /// Model: provider/model, or a name of the server's configuration; `client` is this client's own. Leave it out for the
    /// usual one.
    model: Option<String>,
    /// The most that is written in each answer, in tokens.
    #[schemars(range(min = 1))]
    max_tokens: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum How {
    #[default]
    Decide,
    Judge,
    Synthesize,
    Vote,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Output {
    /// The decided answer; with `schema` JSON that fits it.
    text: String,
    /// The same as a value, with `schema`.
    parsed: Option<Map<String, Value>>,
    /// How it was decided.
    decision: Decided,
    /// All answers, in the order in which they were asked for.
    members: Vec<Answered>,
    /// The model that was asked.
    model: String,
    #[serde(flatten)]
    spending: Spending,
}

/// How the answers became one.
#[derive(Debug, Serialize, JsonSchema)]
struct Decided {
    /// decide, judge, synthesize or vote; sole where there was only one answer; first where the decision failed and the
    /// first answer was taken.
    by: String,
    /// The members, from 0, whose answers are in the result; empty where the decider does not say.
    from: Vec<usize>,
    /// The decider's reason, where it gives one.
    reason: Option<String>,
    /// Why the decision itself failed, where it did.
    failure: Option<String>,
    /// Equal answers counted, most votes first; null where nobody voted.
    votes: Option<Vec<VoteCount>>,
    /// How many agree with each field of the result; null where nobody voted on fields.
    agreement: Option<Vec<Agreement>>,
    /// Members that were not waited for, because no answer of theirs could change the vote.
    calls_saved: u32,
}

/// An answer, or why there is none.
#[derive(Debug, Serialize, JsonSchema)]
struct Answered {
    /// The answer; null where the call failed.
    text: Option<String>,
    /// The model that answered, as it is told.
    model: String,
    /// Cost in US dollars; null while unknown.
    #[schemars(with = "Option<f64>")]
    cost_usd: Option<Usd>,
    /// Why it has no answer; `cancelled` where it was not needed any more.
    error: Option<Failure>,
}

impl From<Member> for Answered {
    fn from(member: Member) -> Self {
        Self {
            text: member.text,
            model: member.model,
            cost_usd: member.cost_usd,
            error: member.error.map(Failure::from),
        }
    }
}

impl TypedTool for Ensemble {
    type Arguments = Arguments;
    type Output = Output;

    const NAME: &'static str = "ensemble";
    const TITLE: &'static str = "Ask several times and decide";
    const DESCRIPTION: &'static str = "\
        Asks the same question n times, independently and in parallel, and makes one answer of the answers: by a \
        decision of the model, a judge, a synthesis, or a vote. Use it where one answer may be wrong by chance: \
        facts, classifications, estimates, judgements. n calls of the model, and one more unless decider is vote. \
        Gives the decided answer, how it was decided, and every single answer. A failed answer does not fail the \
        others.";

    async fn run(models: &Models, arguments: Arguments, call: &Call) -> Result<Output, Error> {
        let Arguments {
            prompt,
            n,
            schema,
            decider,
            model,
            max_tokens,
        } = arguments;
        facts::check_prompt("prompt", &prompt)?;
        facts::check_max_tokens(max_tokens)?;
        if !(1..=MOST_ANSWERS).contains(&n) {
            let why = format!("n is {n}; it is a number of answers, from 1 to {MOST_ANSWERS}");
            return Err(facts::refused(why));
        }
        let schema = schema
            .map(|json| Schema::new(Value::Object(json)))
            .transpose();
        let schema = schema.map_err(|why| facts::refused(format!("schema: {why}")))?;
        let how = decider.unwrap_or_default();
        let choice = models.choose(model.as_deref(), call)?;
        let deciding = usize::from(how != How::Vote && n > 1);
        let watch = Watch::new(call.progress(), n + deciding);
        let model = watch.over(choice.model);
        let pattern = pattern(model, n, how)?;
        let mut request = ChatRequest::prompt(prompt);
        if let Some(schema) = &schema {
            request = request.with_schema(schema.clone());
        }
        if let Some(cap) = max_tokens {
            request = request.with_param("max_tokens", cap.into());
        }
        let pattern: SharedModel = Arc::new(pattern);
        let reply = pattern.ask(request).await?;
        watch.finish();
        Ok(told(reply, choice.name, how, schema.as_ref()))
    }
}

fn pattern(model: SharedModel, n: usize, how: How) -> Result<Pattern, Error> {
    let decider = match how {
        How::Decide => Decider::Decide(model.clone()),
        How::Judge => Decider::Judge {
            model: model.clone(),
            swapped: false,
        },
        How::Synthesize => Decider::Synthesize(model.clone()),
        How::Vote => Decider::Vote(Arc::new(VoteOnFields::all())),
    };
    // limits and retries are those of the model's own stack, in front of whose queue a call may wait for long
    let config = EnsembleConfig {
        timeout: None,
        max_retries: 0,
        ..EnsembleConfig::default()
    };
    Ok(Pattern::samples_of(model, n, decider, config)?)
}

fn told(reply: Reply, model: String, how: How, schema: Option<&Schema>) -> Output {
    let spending = Spending::of(&reply);
    let parsed = schema.and_then(|schema| schema.read(reply.text()).ok());
    let parsed = parsed.and_then(|value| match value {
        Value::Object(fields) => Some(fields),
        // the ensemble takes schemas of objects only
        _ => None,
    });
    let gathered = reply.head.gathered.map(|gathered| *gathered);
    let (members, decision) =
        gathered.map_or_else(Default::default, |all| (all.members, all.decision));
    let Decision {
        by,
        from,
        reason,
        failure,
        calls_saved,
        ..
    } = decision.unwrap_or_default();
    let voted = how == How::Vote;
    Output {
        text: reply.answer.text,
        parsed,
        decision: Decided {
            by,
            from,
            reason,
            failure,
            votes: voted.then(|| votes(&members, schema)),
            agreement: schema
                .filter(|_| voted)
                .and_then(|schema| agreement(&members, schema)),
            calls_saved,
        },
        members: members.into_iter().map(Answered::from).collect(),
        model,
        spending,
    }
}
