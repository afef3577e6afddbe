//! The loop that people write today: reqwest and `buffer_unordered`. It parses, posts and writes the same file as
//! `antiphon run`, with no limits, retries, order or state.
//!
//! `baseline INPUT OUTPUT BASE_URL IN_FLIGHT`

use std::io::{BufRead, BufReader, BufWriter, Write};

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [_, input, output, base_url, in_flight] = args.as_slice() else {
        panic!("baseline INPUT OUTPUT BASE_URL IN_FLIGHT");
    };
    let in_flight: usize = in_flight.parse().expect("IN_FLIGHT");
    let url = format!("{base_url}/chat/completions");
    let client = reqwest::Client::new();
    let lines = BufReader::new(std::fs::File::open(input).expect("input")).lines();
    let mut output = BufWriter::new(std::fs::File::create(output).expect("output"));
    let mut answers = stream::iter(lines.enumerate())
        .map(|(index, line)| {
            let (client, url) = (client.clone(), url.clone());
            tokio::spawn(async move {
                let line = line.expect("line");
                let row: Value = serde_json::from_str(&line).expect("JSON");
                let body = json!({"model": "gpt-x", "messages": row["messages"]});
                let response = client.post(url).json(&body).send().await.expect("response");
                let status = response.status().as_u16();
                let answer: Value = response.json().await.expect("answer");
                let text = answer["choices"][0]["message"]["content"].clone();
                let usage = answer["usage"].clone();
                json!({
                    "id": index.to_string(), "custom_id": format!("row-{index}"),
                    "response": {"status_code": status, "request_id": null, "body": answer}, "error": null,
                    "antiphon": {"index": index, "model": "openai/gpt-x", "text": text, "parsed": null,
                        "finish_reason": "stop", "attempts": 1, "usage": usage, "cost_usd": null}
                })
            })
        })
        .buffer_unordered(in_flight);
    while let Some(line) = answers.next().await {
        serde_json::to_writer(&mut output, &line.expect("task")).expect("write");
        output.write_all(b"\n").expect("write");
    }
    output.flush().expect("flush");
}
