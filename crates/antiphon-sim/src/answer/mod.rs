//! What the simulated model says: a function of the question and the seed.

mod arithmetic;
mod containers;
mod expression;
mod fit;
mod instance;
mod merge;
mod number;
mod off;
mod pattern;
mod prose;
mod text;

use antiphon_core::{Fingerprint, Usage};
use fastrand::Rng;
use serde_json::{Value, json};

use crate::{
    FaultKind,
    ask::{Ask, Tool},
    dice::{Purpose, dice},
    tokens::{cut, tokens},
};
use instance::Generator;

/// Tokens of thought that the kind `reasoning` adds.
const REASONING_TOKENS: u64 = 64;

/// Why an answer ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Finish {
    #[default]
    Stop,
    /// A stop sequence was met, this one.
    StopSequence(String),
    Length,
    ToolCalls,
    ContentFilter,
    /// The model declined: its words are in `refusal`.
    Refusal,
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: String,
}

/// One of the answers to a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Choice {
    /// What the model shows of its thoughts; empty where it was not asked to.
    pub(crate) reasoning: String,
    pub(crate) text: String,
    pub(crate) refusal: Option<String>,
    pub(crate) calls: Vec<Call>,
    /// Whether the pieces of several calls take turns in a stream.
    pub(crate) alternates: bool,
    pub(crate) finish: Finish,
}

/// How much the answer tells of its usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UsageForm {
    Full,
    NoDetails,
    Null,
    Absent,
}

/// Everything that an answer says, before it is written in a dialect.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// Distinguishes answers; equal requests have equal ids, since their answers are equal to the byte.
    pub(crate) id: String,
    pub(crate) model: String,
    pub(crate) choices: Vec<Choice>,
    pub(crate) usage: Usage,
    pub(crate) usage_form: UsageForm,
    /// How many alternatives each token is told with; `None` where no odds are told.
    pub(crate) logprobs: Option<usize>,
}

/// Answers the question, in the way that the kind asks for.
pub(crate) fn compose(
    ask: &Ask,
    key: &Fingerprint,
    seed: u64,
    accuracy: f64,
    kind: Option<FaultKind>,
) -> Reply {
    let choices: Vec<Choice> = (0..ask.choices)
        .map(|index| {
            let number = u64::from(ask.first_choice) + u64::from(index);
            let rng = dice(seed, Purpose::Answer, key, number);
            let mut choice = Author { ask, rng, accuracy }.choice(kind);
            if ask.thinks {
                choice.reasoning = prose::thoughts(ask.question());
            }
            choice
        })
        .collect();
    let thought = choices.iter().map(|choice| tokens(&choice.reasoning)).sum();
    let said: u64 = choices.iter().map(choice_tokens).sum();
    let mut usage = Usage {
        input_tokens: ask.input_tokens(),
        output_tokens: said + thought,
        reasoning_tokens: thought,
        ..Usage::default()
    };
    match kind {
        Some(FaultKind::Cached) => usage.cached_input_tokens = usage.input_tokens.div_ceil(2),
        Some(FaultKind::Reasoning) => {
            usage.reasoning_tokens += REASONING_TOKENS;
            usage.output_tokens += REASONING_TOKENS;
        }
        _ => {}
    }
    Reply {
        id: key.to_string()[..16].to_owned(),
        model: ask.model.clone(),
        choices,
        usage,
        usage_form: match kind {
            Some(FaultKind::NoUsage) => UsageForm::Absent,
            Some(FaultKind::NullUsage) => UsageForm::Null,
            Some(FaultKind::NoDetails) => UsageForm::NoDetails,
            _ => UsageForm::Full,
        },
        logprobs: ask.logprobs,
    }
}

fn choice_tokens(choice: &Choice) -> u64 {
    let called: u64 = choice
        .calls
        .iter()
        .map(|call| tokens(&call.name) + tokens(&call.arguments))
        .sum();
    tokens(&choice.text) + choice.refusal.as_deref().map_or(0, tokens) + called
}

/// Writes one choice.
struct Author<'a> {
    ask: &'a Ask,
    rng: Rng,
    accuracy: f64,
}

impl Author<'_> {
    fn choice(mut self, kind: Option<FaultKind>) -> Choice {
        match kind {
            Some(FaultKind::Refusal) => return declined(),
            Some(FaultKind::Interleaved) => return self.two_calls(),
            _ => {}
        }
        if let Some(tool) = &self.ask.forced_tool {
            let call = self.call(tool, 0);
            return called(vec![call]);
        }
        if !self.ask.named_tools.is_empty() {
            let tools = self.ask.named_tools.iter().enumerate();
            return called(tools.map(|(index, tool)| self.call(tool, index)).collect());
        }
        let mut text = self.text(kind);
        if let Some(rest) = text.strip_prefix(&self.ask.begun) {
            text = rest.to_owned();
        }
        let mut choice = self.ended(text);
        let forced = match kind {
            Some(FaultKind::Length) => Finish::Length,
            Some(FaultKind::ContentFilter) => Finish::ContentFilter,
            _ => return choice,
        };
        choice.text = cut(&choice.text, tokens(&choice.text) / 2).to_owned();
        choice.finish = forced;
        choice
    }

    fn text(&mut self, kind: Option<FaultKind>) -> String {
        let right = self.rng.f64() < self.accuracy;
        let worked = arithmetic::work(self.ask.question(), right, &mut self.rng);
        if let Some(schema) = &self.ask.schema {
            let result = worked.as_ref().map(|worked| worked.result);
            let instance = Generator::new(schema, &mut self.rng, result).instance();
            let instance = match kind {
                Some(FaultKind::OffSchema) => off::broken(schema, instance),
                _ => instance,
            };
            return instance.to_string();
        }
        let text = match worked {
            Some(worked) => format!("(simulated) {}", worked.text),
            None => prose::about(self.ask.question(), &mut self.rng),
        };
        match self.ask.json_object {
            true => json!({ "answer": text }).to_string(),
            false => text,
        }
    }

    /// Ends the text where the request says: at a stop sequence or at its output cap, whichever comes first.
    fn ended(&self, mut text: String) -> Choice {
        let mut finish = Finish::Stop;
        let met = self
            .ask
            .stop
            .iter()
            .filter_map(|stop| Some((text.find(stop.as_str())?, stop)));
        if let Some((at, stop)) = met.min() {
            text.truncate(at);
            finish = Finish::StopSequence(stop.clone());
        }
        if let Some(most) = self.ask.max_tokens.filter(|most| tokens(&text) > *most) {
            text.truncate(cut(&text, most).len());
            finish = Finish::Length;
        }
        Choice {
            text,
            finish,
            ..Choice::default()
        }
    }

    fn call(&mut self, tool: &Tool, index: usize) -> Call {
        let arguments = Generator::new(&tool.parameters, &mut self.rng, None).instance();
        let arguments = match arguments {
            Value::Object(_) => arguments.to_string(),
            // arguments are an object on both wires, whatever the schema says
            _ => "{}".to_owned(),
        };
        let id = format!("call_{:012x}{index}", self.rng.u64(..1 << 48));
        Call {
            id,
            name: tool.name.clone(),
            arguments,
        }
    }

    fn two_calls(&mut self) -> Choice {
        let known = |name: &str| Tool {
            name: name.to_owned(),
            parameters: json!({"type": "object", "properties": {"query": {"type": "string"}},
                "required": ["query"], "additionalProperties": false}),
        };
        let first = self
            .ask
            .tools
            .first()
            .cloned()
            .unwrap_or_else(|| known("look_up"));
        let second = self
            .ask
            .tools
            .last()
            .cloned()
            .unwrap_or_else(|| known("compare"));
        Choice {
            alternates: true,
            ..called(vec![self.call(&first, 0), self.call(&second, 1)])
        }
    }
}

fn called(calls: Vec<Call>) -> Choice {
    Choice {
        calls,
        finish: Finish::ToolCalls,
        ..Choice::default()
    }
}

fn declined() -> Choice {
    Choice {
        refusal: Some("(simulated) I cannot help with that.".to_owned()),
        finish: Finish::Refusal,
        ..Choice::default()
    }
}
