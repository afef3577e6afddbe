// The npm package `@anthropic-ai/sdk`.
import assert from "node:assert/strict";
import { BASE_URL, GATEWAY, KEY, all, check, load, parameters, refused, run } from "./checks.mjs";

const { Anthropic } = load("@anthropic-ai/sdk");
const { zodOutputFormat } = load("@anthropic-ai/sdk/helpers/zod");
const { z } = load("zod");

const client = new Anthropic({ baseURL: BASE_URL, apiKey: KEY, maxRetries: 0, timeout: 20_000 });
const ask = (model, content, more = {}) => ({ model, max_tokens: 2048, messages: [{ role: "user", content }], ...more });
const text = (message) => message.content.filter((block) => block.type === "text").map((block) => block.text).join("");
const weather = { name: "get_weather", input_schema: parameters };

check("whole", async (model) => {
  const message = await client.messages.create(ask(model, "What is 17 + 25?", { system: "Be brief." }));
  assert.match(text(message), /42/);
  assert.ok(message.usage.input_tokens > 0 && message.usage.output_tokens > 0);
});

check("streamed", async (model) => {
  const asked = ask(model, "Tell me about rivers — and 漢字.");
  const expected = await client.messages.create(asked);
  const events = await all(await client.messages.create({ ...asked, stream: true }));
  assert.equal(events.at(-1).type, "message_stop");
  const final = await client.messages.stream(asked).finalMessage();
  assert.equal(text(final), text(expected));
  assert.equal(final.usage.output_tokens, expected.usage.output_tokens);
  assert.equal(final.usage.input_tokens, expected.usage.input_tokens);
});

check("tools", async (model) => {
  const asked = ask(model, "Use get_weather for Rome", { tools: [weather] });
  const message = await client.messages.stream(asked).finalMessage();
  const call = message.content.find((block) => block.type === "tool_use");
  assert.deepEqual(Object.keys(call.input).sort(), ["city", "unit"]);
  assert.equal(message.stop_reason, "tool_use");
  const result = { type: "tool_result", tool_use_id: call.id, content: [{ type: "text", text: "Rain, 12 degrees." }] };
  const turns = [...asked.messages, { role: "assistant", content: message.content }, { role: "user", content: [result] }];
  const answer = await client.messages.create({ ...asked, messages: turns });
  assert.match(text(answer), /Rain, 12 degrees\./);
});

check("structured", async (model) => {
  const Verdict = z.object({ answer: z.number().int() });
  const asked = ask(model, "What is 17 + 25?", { output_config: { format: zodOutputFormat(Verdict) } });
  const message = await client.messages.parse(asked);
  assert.equal(message.parsed_output.answer, 42);
});

check("thinking", async (model) => {
  const asked = ask(model, "Think about this", { thinking: { type: "adaptive" }, output_config: { effort: "high" } });
  const message = await client.messages.stream(asked).finalMessage();
  assert.match(message.content[0].thinking, /^\(simulated thought\)/);
  assert.ok(text(message).startsWith("(simulated)"));
});

check("count_tokens", async (model) => {
  const { messages } = ask(model, "How long is this?");
  const { input_tokens } = await client.messages.countTokens({ model, messages });
  assert.ok(input_tokens > 0);
}, "anthropic");

check("models", async () => {
  assert.ok((await all(client.models.list())).length > 0);
});

check("errors", async () => {
  const limited = await refused(() => client.messages.create(ask("limited", "Hello")));
  assert.ok(limited instanceof Anthropic.RateLimitError, limited);
  assert.ok(Number(limited.headers.get("retry-after")) > 3500);
  const unknown = await refused(() => client.messages.create(ask(GATEWAY ? "antropic/small" : "missing", "Hello")));
  assert.ok(unknown instanceof Anthropic.NotFoundError, unknown);
});

check("fifty_at_once", async (model) => {
  const one = async (_, number) => {
    const asked = ask(model, `Tell me about number ${number}.`);
    const message = number % 2 ? await client.messages.create(asked) : await client.messages.stream(asked).finalMessage();
    assert.ok(text(message).includes(`number ${number}.`));
  };
  await Promise.all(Array.from({ length: 50 }, one));
});

await run();
