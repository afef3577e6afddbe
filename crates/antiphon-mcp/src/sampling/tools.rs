//! Tools that the client's model may call, and whether it must.

use antiphon_core::Error;
use serde_json::{Map, Value, json};

use super::{Dropped, bad_request};

/// The parameters `tools` and `toolChoice`; none where no tool is offered.
///
/// # Errors
/// [`ErrorKind::BadRequest`](antiphon_core::ErrorKind::BadRequest): a tool cannot be read.
pub(super) fn translate(
    given: &Map<String, Value>,
    dropped: &mut Dropped,
) -> Result<Map<String, Value>, Error> {
    let mut params = Map::new();
    let mut tools = Vec::new();
    match given.get("tools") {
        None | Some(Value::Null) => {}
        Some(Value::Array(list)) => {
            for tool in list {
                tools.extend(of_tool(tool, dropped)?);
            }
        }
        Some(_) => return Err(bad_request("`tools` is not a list")),
    }
    let choice = given.get("tool_choice").filter(|choice| !choice.is_null());
    if tools.is_empty() {
        if choice.is_some_and(|choice| !matches!(mode_of(choice), Some("auto" | "none"))) {
            dropped.note("tool_choice");
        }
        return Ok(params);
    }
    if given.get("parallel_tool_calls") == Some(&Value::Bool(false))
        || choice.is_some_and(|choice| choice["disable_parallel_tool_use"] == true)
    {
        dropped.note("parallel_tool_calls");
    }
    if let Some(choice) = choice {
        match (mode_of(choice), named(choice)) {
            (Some(mode), _) => drop(params.insert("toolChoice".to_owned(), json!({"mode": mode}))),
            // there is no word for it: a model that must call a tool and is offered one alone calls that
            (None, Some(name)) => {
                tools.retain(|tool| tool["name"] == name);
                if tools.is_empty() {
                    let message = format!("`tool_choice` names {name:?}, which is not in `tools`");
                    return Err(bad_request(message));
                }
                params.insert("toolChoice".to_owned(), json!({"mode": "required"}));
            }
            (None, None) => dropped.note("tool_choice"),
        }
    }
    params.insert("tools".to_owned(), Value::Array(tools));
    Ok(params)
}

/// A tool in the words of either wire, or in the protocol's own.
fn of_tool(tool: &Value, dropped: &mut Dropped) -> Result<Option<Value>, Error> {
    let function = tool.get("function").unwrap_or(tool);
    let kind = tool["type"].as_str().unwrap_or("function");
    let schema = ["parameters", "input_schema", "inputSchema"];
    let schema = schema.iter().find_map(|name| function.get(*name));
    let is_own = tool.get("function").is_some() || kind == "function" || schema.is_some();
    if !is_own {
        // what a provider runs itself, and grammars for free text, have no counterpart
        dropped.note(&format!("tools.{kind}"));
        return Ok(None);
    }
    let name = function["name"].as_str();
    let name = name.ok_or_else(|| bad_request("a tool has no name"))?;
    if function["strict"] == true {
        dropped.note("tools.strict");
    }
    let mut own = Map::new();
    own.insert("name".to_owned(), json!(name));
    if let Some(description) = function["description"].as_str() {
        own.insert("description".to_owned(), json!(description));
    }
    own.insert("inputSchema".to_owned(), input_schema(name, schema)?);
    Ok(Some(Value::Object(own)))
}

/// The protocol demands the schema of an object.
fn input_schema(name: &str, given: Option<&Value>) -> Result<Value, Error> {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    match given {
        None | Some(Value::Null) => {}
        Some(Value::Object(fields)) => schema.extend(fields.clone()),
        Some(_) => {
            let message = format!("the parameters of the tool {name:?} are no JSON Schema");
            return Err(bad_request(message));
        }
    }
    if schema["type"] != "object" {
        let message = format!("the parameters of the tool {name:?} are not those of an object");
        return Err(bad_request(message));
    }
    Ok(Value::Object(schema))
}

/// The protocol's word for a choice that names no tool.
fn mode_of(choice: &Value) -> Option<&'static str> {
    let word = choice.as_str();
    let word = word.or_else(|| choice["type"].as_str().or_else(|| choice["mode"].as_str()));
    match word? {
        "auto" => Some("auto"),
        "required" | "any" => Some("required"),
        "none" => Some("none"),
        _ => None,
    }
}

fn named(choice: &Value) -> Option<&str> {
    let function = choice.get("function").unwrap_or(choice);
    function["name"].as_str()
}
