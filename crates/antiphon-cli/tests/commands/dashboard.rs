//! The page of `antiphon serve`, as browsers see it.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
};

use antiphon::numbers;
use antiphon_testkit::{
    Running, Sandbox, Signal, Sim,
    browser::{self, Watched},
};
use serde_json::{Value, json};

/// Texts that become script where a page takes them for more than text.
const PAYLOADS: [&str; 50] = [
    "<script>window.canary=1</script>",
    "</script><script>window.canary=2</script>",
    "<img src=x onerror=window.canary=3>",
    "<img src=x onerror=\"window.canary=4\">",
    "<IMG SRC=x oNeRrOr='window.canary=5'>",
    "\"><img src=x onerror=window.canary=6>",
    "'><img src=x onerror=window.canary=7>",
    "<svg onload=window.canary=8>",
    "<svg/onload=window.canary=9//",
    "<svg><script>window.canary=10</script></svg>",
    "<svg><animate onbegin=window.canary=11 attributeName=x>",
    "<body onload=window.canary=12>",
    "<iframe src=javascript:parent.canary=13></iframe>",
    "<iframe srcdoc='<script>parent.canary=14</script>'></iframe>",
    "<details open ontoggle=window.canary=15>",
    "<video><source onerror=window.canary=16></video>",
    "<audio src=x onerror=window.canary=17>",
    "<input autofocus onfocus=window.canary=18>",
    "<select autofocus onfocus=window.canary=19>",
    "<textarea autofocus onfocus=window.canary=20>",
    "<marquee onstart=window.canary=21>",
    "<object data=javascript:window.canary=22>",
    "<embed src=javascript:window.canary=23>",
    "<math><mi xlink:href=javascript:window.canary=24>x</mi></math>",
    "<a href=javascript:window.canary=25>click</a>",
    "javascript:window.canary=26",
    "<base href=http://evil.example/>",
    "<link rel=stylesheet href=http://evil.example/x.css>",
    "<meta http-equiv=refresh content=0;url=http://evil.example/>",
    "<style>@import 'http://evil.example/x.css';</style>",
    "<form action=http://evil.example/><button>send</button></form>",
    "<template><img src=x onerror=window.canary=32></template>",
    "<noscript><p title=\"</noscript><img src=x onerror=window.canary=33>\">",
    "<!--><img src=x onerror=window.canary=34>-->",
    "<![CDATA[><img src=x onerror=window.canary=35>]]>",
    "</td></tr></table><img src=x onerror=window.canary=36>",
    "</title><script>window.canary=37</script>",
    "</textarea><script>window.canary=38</script>",
    "</style><script>window.canary=39</script>",
    "&lt;script&gt;window.canary=40&lt;/script&gt;",
    "&#60;img src=x onerror=window.canary=41&#62;",
    "\\u003cimg src=x onerror=window.canary=42\\u003e",
    "{{constructor.constructor('window.canary=43')()}}",
    "${window.canary=44}",
    "`;window.canary=45;`",
    "';window.canary=46;'",
    "\\\";window.canary=47;//",
    "__proto__",
    "constructor",
    "<x style=position:fixed;inset:0 onmouseover=window.canary=50>hover</x>",
];

/// A running `antiphon serve`.
struct Gateway {
    process: Running,
    address: SocketAddr,
}

impl Gateway {
    fn start(sandbox: &Sandbox, base_url: &str) -> Self {
        let mut process = sandbox
            .antiphon(["serve", "--listen", "127.0.0.1:0", "--json"])
            .env("OPENAI_BASE_URL", base_url)
            .env("OPENAI_API_KEY", "k")
            .start();
        let up = process.until(|process| process.stdout().ends_with(b"\n"));
        assert!(up, "{}", process.stderr());
        let told: Value = serde_json::from_slice(&process.stdout()).unwrap();
        let address = told["address"].as_str().unwrap().parse().unwrap();
        Self { process, address }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Puts a question; the status of its answer.
    fn asks(&self, body: &Value) -> u16 {
        let answer = self.send("POST", "/v1/chat/completions", &body.to_string());
        answer[9..12].parse().unwrap()
    }

    fn snapshot(&self) -> Value {
        let answer = self.send("GET", "/dashboard/snapshot.json", "");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    }

    fn send(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all((head + body).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

fn question(model: &str, is_streamed: bool) -> Value {
    json!({
        "model": model,
        "stream": is_streamed,
        "messages": [{"role": "user", "content": "Say hello"}],
    })
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn the_page_tells_how_to_begin_and_then_what_happens() {
    let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_antiphon"));
    let sim = Sim::start(&sandbox, ["--rpm", "6000"]);
    let gateway = Gateway::start(&sandbox, &sim.base_url());
    let export = format!("export OPENAI_BASE_URL={}", gateway.url("/v1"));
    let empty = Watched {
        texts: texts(&["No calls yet", "serving", &export, "curl http://127.0.0.1"]),
        sections: 1,
        words: 8,
        ..Watched::default()
    };
    browser::watch("dashboard-empty", &gateway.url("/"), &empty);

    for number in 0..12 {
        assert_eq!(gateway.asks(&question("gpt-4o-mini", number % 3 == 0)), 200);
    }
    assert_eq!(gateway.asks(&question("nobody/knows", false)), 404);
    assert_eq!(gateway.asks(&json!({"model": "gpt-4o-mini"})), 400);
    let told = gateway.snapshot();
    let total = &told["total"];
    assert_eq!((&total["calls"], &total["failed"]), (&json!(14), &json!(2)));
    let tokens = total["input_tokens"].as_u64().unwrap() + total["output_tokens"].as_u64().unwrap();
    assert_eq!(sim.books().tokens().0 + sim.books().tokens().1, tokens);
    let cost: antiphon::Usd = total["cost_usd"].to_string().parse().unwrap();
    let watched = Watched {
        texts: texts(&[
            "unknown provider \"nobody\"",
            "openai/gpt-4o-mini",
            "6,000 calls",
            &numbers::count(tokens),
            &numbers::dollars(cost),
            "No keys are configured",
            "200 stop",
        ]),
        sections: 9,
        words: 80,
        then: Some((
            gateway.url("/v1/chat/completions"),
            question("nobody/asked-later", false).to_string(),
        )),
        after: texts(&["3 of 15 calls failed", "nobody/asked-later"]),
        numbers: numbers_of_both(),
        lost: true,
    };
    browser::watch("dashboard-live", &gateway.url("/"), &watched);
}

#[test]
fn a_drain_does_not_wait_for_those_who_look() {
    let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_antiphon"));
    let mut gateway = Gateway::start(&sandbox, "http://127.0.0.1:1/v1");
    let mut stream = TcpStream::connect(gateway.address).unwrap();
    let request = "GET /dashboard/events HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut piece = [0; 512];
    assert!(stream.read(&mut piece).unwrap() > 0);
    gateway.process.signal(Signal::Terminate);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    // ended in order, with the last chunk, and not cut off
    assert!(
        rest.ends_with(b"0\r\n\r\n"),
        "{}",
        String::from_utf8_lossy(&rest)
    );
    gateway.process.wait().exits(0);
}

#[test]
fn texts_of_providers_and_callers_stay_texts() {
    let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_antiphon"));
    let gateway = Gateway::start(&sandbox, &hostile_provider());
    for (number, payload) in PAYLOADS.iter().enumerate() {
        let status = gateway.asks(&question(&format!("openai/{payload}"), false));
        assert_eq!(status, if number % 2 == 0 { 200 } else { 400 }, "{payload}");
    }
    let watched = Watched {
        texts: PAYLOADS
            .iter()
            .map(|payload| format!("openai/{payload}"))
            .collect(),
        sections: 9,
        words: 300,
        ..Watched::default()
    };
    browser::watch("dashboard-hostile", &gateway.url("/"), &watched);
    let told = gateway.snapshot();
    let last = &told["failures"][0];
    assert_eq!(
        last["error"].as_str().unwrap().matches("canary=50").count(),
        1
    );
}

/// A provider that gives each model's name back wherever a text is read: in answers, and, each second time, in an error.
fn hostile_provider() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // who hangs up is not answered
            let _gone = answer(stream);
        }
    });
    url
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    let body: Value = loop {
        let read = stream.read(&mut piece)?;
        request.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&request);
        let body = text
            .split_once("\r\n\r\n")
            .map(|(_, body)| serde_json::from_str(body));
        match body {
            Some(Ok(body)) => break body,
            _ if read == 0 => return Ok(()),
            _ => {}
        }
    };
    let name = body["model"].as_str().unwrap_or_default();
    let place = PAYLOADS.iter().position(|payload| *payload == name);
    let (status, answer) = if place.is_some_and(|place| place % 2 == 0) {
        let choice = json!({
            "index": 0, "finish_reason": name, "message": {"role": "assistant", "content": name},
        });
        let usage = json!({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3});
        let answer = json!({
            "id": name, "object": "chat.completion", "model": name, "choices": [choice], "usage": usage,
        });
        (200, answer)
    } else {
        (
            400,
            json!({"error": {"message": name, "type": name, "code": name}}),
        )
    };
    let answer = answer.to_string();
    write!(
        stream,
        "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\nx-request-id: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{answer}",
        answer.len()
    )
}

/// Numbers as the report writes them, for the page to write the same.
fn numbers_of_both() -> Vec<(&'static str, Value, String)> {
    let mut both = Vec::new();
    for number in [0_u64, 7, 999, 1_000, 1_234_567] {
        both.push(("count", json!(number), numbers::count(number)));
    }
    for value in [
        0.0, 0.000_42, 0.012_34, 0.5, 1.0, 1.256, 12.34, 99.96, 100.0, 1_234.5,
    ] {
        both.push(("digits", json!(value), numbers::digits(value)));
    }
    for value in [0.0, 0.42, 1.0, 812.4, 1_240.0, 61_234.0, 7_300_000.0] {
        both.push(("milliseconds", json!(value), numbers::milliseconds(value)));
    }
    for text in [
        "0",
        "0.0000072",
        "0.0034567",
        "0.0175",
        "0.25",
        "0.9",
        "12.3456",
        "2415.369",
    ] {
        let amount: antiphon::Usd = text.parse().unwrap();
        both.push(("dollars", json!(amount.as_f64()), numbers::dollars(amount)));
    }
    for (min, max) in [
        (0.0, 0.0),
        (0.000_7, 0.001_2),
        (0.329, 0.568),
        (1e-7, 2e-7),
        (2.0, 2.0),
    ] {
        let range = antiphon::core::account::Range { min, max };
        both.push((
            "gases",
            json!({"min": min, "max": max}),
            numbers::range(range, &numbers::GASES_KG),
        ));
    }
    both
}
