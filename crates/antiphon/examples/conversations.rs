//! Questions that build on each other, many conversations side by side: `cargo run --example conversations`.

#![allow(clippy::print_stdout, reason = "an example shows its result")]

use antiphon::{
    ChatRequest, Message, Session,
    patterns::{Conversation, conversations},
};
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let session = Session::from_toml("[providers.sim]\nfail = [\"400=10%\"]\nseed = 3")?;
    let model = session.model("sim/guide")?;

    let beginning = || vec![Message::system("You know every river.")];
    let scripts = ["France", "Peru", "Nepal", "Chad"].map(|country| {
        let questions = [
            format!("Name a river in {country}."),
            "How long is it?".to_owned(),
            "What is 6 * 7?".to_owned(),
        ];
        (Conversation::new(model.clone(), beginning()), questions)
    });
    let mut talks = conversations(scripts, 2.try_into()?).ordered();
    while let Some(talk) = talks.next().await {
        let turns = talk.conversation.history().messages.len();
        println!("{} answers, {turns} messages", talk.replies.len());
        if let Some(error) = talk.error {
            println!("    ended early: {error}");
        }
    }

    // with a tool: the model calls it, the program runs it and adds the result
    let tooled = ChatRequest::new(beginning()).with_tool(
        "level",
        "tells the water level of a river in metres",
        json!({"type": "object", "properties": {"river": {"type": "string"}}, "required": ["river"]}),
    );
    let model = Session::from_toml("")?.model("sim/guide")?;
    let mut talk = Conversation::new(model, tooled.with_param("tool_choice", json!("required")));
    let called = talk.say("How high is the Marne?").await?;
    for call in &called.answer.tool_calls {
        println!("\n{} is called with {}", call.name, call.arguments);
        talk.add(Message::tool_result(&call.id, "2.4"));
    }
    println!("{} messages so far", talk.history().messages.len());
    Ok(())
}
