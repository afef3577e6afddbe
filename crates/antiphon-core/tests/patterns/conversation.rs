use std::{num::NonZeroUsize, time::Duration};

use antiphon_core::{
    ErrorKind, Message,
    chat::ToolCall,
    patterns::{Conversation, conversations},
};
use tokio::time::sleep;

use crate::rehearsed::{Rehearsed, failed, said, words};

/// Tells how much it has heard.
fn listener() -> std::sync::Arc<Rehearsed> {
    Rehearsed::new(|request| async move {
        sleep(Duration::from_secs(1)).await;
        match words(&request).as_str() {
            "fail" => Err(failed(ErrorKind::ServerError)),
            words => Ok(said(format!("{words} {}", request.messages.len()))),
        }
    })
}

#[tokio::test(start_paused = true)]
async fn each_is_sequential_and_many_go_on_side_by_side() {
    let model = listener();
    let beginning = || Conversation::new(model.clone(), vec![Message::system("be brief")]);
    let scripts = vec![
        (beginning(), vec!["a", "b"]),
        (beginning(), vec!["c", "fail", "d"]),
        (beginning(), vec![]),
        (beginning(), vec!["e"]),
    ];
    let begun = tokio::time::Instant::now();
    let outcomes = conversations(scripts, NonZeroUsize::new(3).unwrap())
        .settle()
        .await;
    assert_eq!(begun.elapsed(), Duration::from_secs(2));
    assert_eq!(model.peak(), 3);
    let texts: Vec<Vec<&str>> = outcomes
        .iter()
        .map(|outcome| outcome.replies.iter().map(|reply| reply.text()).collect())
        .collect();
    assert_eq!(
        texts,
        [vec!["a 2", "b 4"], vec!["c 2"], vec![], vec!["e 2"]]
    );
    assert_eq!(
        outcomes[1].error.as_ref().unwrap().kind(),
        ErrorKind::ServerError
    );
    // the failed question is not part of what was said, and the talk may go on
    let mut talk = outcomes.into_iter().nth(1).unwrap().conversation;
    assert_eq!(talk.say("d").await.unwrap().text(), "d 4");
}

#[tokio::test]
async fn tools_are_part_of_what_was_said() {
    let model = Rehearsed::new(|request| async move {
        let mut answer = said("");
        match request.messages.len() {
            1 => answer.tool_calls.push(ToolCall {
                id: "call_1".to_owned(),
                name: "clock".to_owned(),
                arguments: "{}".to_owned(),
            }),
            _ => answer.text = format!("it is {}", words(&request)),
        }
        Ok(answer)
    });
    let mut talk = Conversation::new(model, Vec::new());
    let asked = talk.say("what time is it?").await.unwrap();
    talk.add(Message::tool_result(&asked.answer.tool_calls[0].id, "noon"));
    assert_eq!(talk.answer().await.unwrap().text(), "it is noon");
    let said = serde_json::to_value(&*talk.history().messages).unwrap();
    assert_eq!(said[1]["tool_calls"][0]["function"]["name"], "clock");
    assert_eq!(said[2]["tool_call_id"], "call_1");
    assert_eq!(said.as_array().unwrap().len(), 4);
}
