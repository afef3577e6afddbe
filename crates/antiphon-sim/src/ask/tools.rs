//! The tools that a model may call, and the ones that it does.

use serde_json::{Map, Value, json};

use super::{Ask, Speaker, Tool};

impl Ask {
    /// Reads the tools and what the request says about calling them. Left open, those are called that the question names:
    /// "use get_weather for Rome" calls `get_weather`.
    pub(super) fn read_tools(&mut self, fields: &Map<String, Value>) {
        for tool in fields
            .get("tools")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let function = tool.get("function").unwrap_or(tool);
            let schema = function
                .get("parameters")
                .or_else(|| function.get("input_schema"));
            if let Some(name) = function["name"].as_str() {
                self.tools.push(Tool {
                    name: name.to_owned(),
                    parameters: schema.cloned().unwrap_or_else(|| json!({"type": "object"})),
                });
            }
        }
        let choice = fields.get("tool_choice").unwrap_or(&Value::Null);
        let kind = choice.as_str().or_else(|| choice["type"].as_str());
        let named = choice["function"]["name"]
            .as_str()
            .or_else(|| choice["name"].as_str());
        self.forced_tool = match (kind, named) {
            (_, Some(name)) => self.tools.iter().find(|tool| tool.name == name).cloned(),
            (Some("required" | "any"), None) => self.tools.first().cloned(),
            _ => None,
        };
        let is_left_open = matches!(kind, None | Some("auto"));
        if self.forced_tool.is_some() || !is_left_open {
            return;
        }
        self.named_tools = self.named_in_question();
        let is_single = fields.get("parallel_tool_calls") == Some(&Value::Bool(false))
            || choice["disable_parallel_tool_use"] == true;
        if is_single {
            self.named_tools.truncate(1);
        }
    }

    /// The tools that the last turn names, while a user speaks: their results come from others, and are no question.
    fn named_in_question(&self) -> Vec<Tool> {
        let last = self.turns.last();
        let Some(turn) = last.filter(|turn| turn.speaker == Speaker::User) else {
            return Vec::new();
        };
        let is_part = |c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-'));
        let words: Vec<&str> = turn.text.split(is_part).collect();
        let named = |tool: &&Tool| words.contains(&tool.name.as_str());
        self.tools.iter().filter(named).cloned().collect()
    }
}
