// The npm package `openai`.
import assert from "node:assert/strict";
import { BASE_URL, GATEWAY, KEY, all, behindGateway, check, load, parameters, refused, run } from "./checks.mjs";

const { OpenAI } = load("openai");
const { zodResponseFormat, zodTextFormat } = load("openai/helpers/zod");
const { z } = load("zod");

const client = new OpenAI({ baseURL: `${BASE_URL}/v1`, apiKey: KEY, maxRetries: 0, timeout: 20_000 });
const user = (content) => ({ role: "user", content });
const weather = { type: "function", function: { name: "get_weather", parameters, strict: true } };
const Verdict = z.object({ answer: z.number().int(), confidence: z.enum(["low", "high"]) });

check("whole", async (model) => {
  const answer = await client.chat.completions.create({ model, messages: [user("What is 17 + 25?")] });
  assert.match(answer.choices[0].message.content, /42/);
  assert.ok(answer.usage.total_tokens > 0);
});

check("streamed", async (model) => {
  const asked = { model, messages: [user("Tell me about rivers — and 漢字.")] };
  const expected = (await client.chat.completions.create(asked)).choices[0].message.content;
  const chunks = await all(await client.chat.completions.create({ ...asked, stream: true }));
  assert.equal(chunks.map((chunk) => chunk.choices[0].delta.content ?? "").join(""), expected);
  const final = await client.chat.completions
    .stream({ ...asked, stream_options: { include_usage: true } })
    .finalChatCompletion();
  assert.equal(final.choices[0].message.content, expected);
  assert.ok(final.usage.completion_tokens > 0);
});

check("tools_streamed", async (model) => {
  const final = await client.chat.completions
    .stream({ model, messages: [user("Use get_weather for Lima")], tools: [weather] })
    .finalChatCompletion();
  const [call] = final.choices[0].message.tool_calls;
  assert.equal(call.function.name, "get_weather");
  assert.deepEqual(Object.keys(JSON.parse(call.function.arguments)).sort(), ["city", "unit"]);
  assert.equal(final.choices[0].finish_reason, "tool_calls");
});

check("tool_runner", async (model) => {
  for (const stream of [false, true]) {
    const asked = [];
    const called = (city) => {
      asked.push(city);
      return "Rain, 12 degrees.";
    };
    const tool = { type: "function", function: { name: "get_weather", parameters, parse: JSON.parse, function: called } };
    const runner = client.chat.completions.runTools({ model, stream, messages: [user("Use get_weather for Rome")], tools: [tool] });
    assert.match(await runner.finalContent(), /Rain, 12 degrees\./);
    assert.deepEqual(Object.keys(asked[0]).sort(), ["city", "unit"]);
  }
});

check("structured", async (model) => {
  const asked = { model, messages: [user("What is 17 + 25?")], response_format: zodResponseFormat(Verdict, "verdict") };
  const { parsed } = (await client.chat.completions.parse(asked)).choices[0].message;
  assert.equal(parsed.answer, 42);
  const final = await client.chat.completions.stream(asked).finalChatCompletion();
  assert.deepEqual(final.choices[0].message.parsed, parsed);
});

check("responses", async (model) => {
  const asked = { model, input: "Tell me about rivers — and 漢字.", instructions: "Be brief." };
  const { output_text, usage } = await client.responses.create(asked);
  assert.ok(output_text.startsWith("(simulated)") && usage.output_tokens > 0);
  const events = await all(await client.responses.create({ ...asked, stream: true }));
  assert.equal(events.at(-1).type, "response.completed");
  const final = await client.responses.stream(asked).finalResponse();
  assert.equal(final.output_text, output_text);
});

check("responses_tools", async (model) => {
  const input = [user("Use get_weather for Lima")];
  const tools = [{ type: "function", name: "get_weather", parameters, strict: true }];
  const final = await client.responses.stream({ model, input, tools }).finalResponse();
  const call = final.output.at(-1);
  assert.equal(call.name, "get_weather");
  input.push(call, { type: "function_call_output", call_id: call.call_id, output: "Rain, 12 degrees." });
  const answer = await client.responses.create({ model, input, tools });
  assert.match(answer.output_text, /Rain, 12 degrees\./);
});

check("responses_structured", async (model) => {
  const asked = { model, input: "What is 17 + 25?", text: { format: zodTextFormat(Verdict, "verdict") } };
  const { output_parsed } = await client.responses.parse(asked);
  assert.equal(output_parsed.answer, 42);
  const final = await client.responses.stream(asked).finalResponse();
  assert.deepEqual(final.output_parsed, output_parsed);
});

check("embeddings", async (model) => {
  const { data } = await client.embeddings.create({ model, input: ["a river", "a bridge"] });
  assert.equal(data.length, 2);
  assert.ok(Math.abs(Math.hypot(...data[0].embedding) - 1) < 1e-5);
}, "openai");

check("models", async () => {
  const listed = await all(client.models.list());
  assert.ok(listed.length > 0);
});

check("errors", async () => {
  const limited = await refused(() => client.chat.completions.create({ model: "limited", messages: [user("Hello")] }));
  assert.ok(limited instanceof OpenAI.RateLimitError, limited);
  assert.ok(Number(limited.headers.get("retry-after")) > 3500);
  const model = GATEWAY ? "opnai/small" : "missing";
  const unknown = await refused(() => client.chat.completions.create({ model, stream: true, messages: [user("Hello")] }));
  assert.ok(unknown instanceof OpenAI.NotFoundError, unknown);
});

check("fifty_at_once", async (model) => {
  const ask = async (_, number) => {
    const asked = { model, messages: [user(`Tell me about number ${number}.`)] };
    const answer = number % 2
      ? await client.chat.completions.create(asked)
      : await client.chat.completions.stream(asked).finalChatCompletion();
    assert.ok(answer.choices[0].message.content.includes(`number ${number}.`));
  };
  await Promise.all(Array.from({ length: 50 }, ask));
});

behindGateway("panel", async () => {
  const asked = { model: "panel", messages: [user("What is 17 + 25?")], response_format: zodResponseFormat(Verdict, "verdict") };
  const answer = await client.chat.completions.parse(asked);
  Verdict.parse(answer.choices[0].message.parsed);
  const alone = await client.chat.completions.parse({ ...asked, model: "on-openai" });
  assert.ok(answer.usage.prompt_tokens > 3 * alone.usage.prompt_tokens, JSON.stringify([answer.usage, alone.usage]));
});

await run();
