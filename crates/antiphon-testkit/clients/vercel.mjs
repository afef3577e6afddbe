// Vercel's `ai` with its providers for OpenAI (chat and responses) and Anthropic.
import assert from "node:assert/strict";
import { BASE_URL, KEY, all, check, load, run } from "./checks.mjs";

const { generateObject, generateText, isStepCount, streamObject, streamText, tool, embedMany } = load("ai");
const { createOpenAI } = load("@ai-sdk/openai");
const { createAnthropic } = load("@ai-sdk/anthropic");
const { z } = load("zod");

globalThis.AI_SDK_LOG_WARNINGS = false;
const openai = createOpenAI({ baseURL: `${BASE_URL}/v1`, apiKey: KEY });
const anthropic = createAnthropic({ baseURL: `${BASE_URL}/v1`, apiKey: KEY });
const providers = { chat: openai.chat, responses: openai.responses, messages: anthropic };
const settings = { maxRetries: 0, maxOutputTokens: 2048 };

const Verdict = z.object({ answer: z.number().int(), confidence: z.enum(["low", "high"]) });
const get_weather = tool({
  description: "Tells the weather.",
  inputSchema: z.object({ city: z.string(), unit: z.enum(["celsius", "fahrenheit"]) }),
  execute: async ({ city }) => `Rain in ${city}, 12 degrees.`,
});

for (const [wire, provider] of Object.entries(providers)) {
  check(`${wire}: generateText`, async (name) => {
    const { text, finishReason, usage } = await generateText({
      model: provider(name), system: "Be brief.", prompt: "What is 17 + 25?", ...settings,
    });
    assert.match(text, /42/);
    assert.equal(finishReason, "stop");
    assert.ok(usage.inputTokens > 0 && usage.outputTokens > 0, JSON.stringify(usage));
  });

  check(`${wire}: generateText with tools`, async (name) => {
    const { text, steps } = await generateText({
      model: provider(name), prompt: "Use get_weather for Rome", tools: { get_weather }, stopWhen: isStepCount(3), ...settings,
    });
    assert.equal(steps.length, 2);
    assert.equal(steps[0].toolCalls[0].toolName, "get_weather");
    assert.match(text, /Rain in .*, 12 degrees\./);
  });

  check(`${wire}: generateObject`, async (name) => {
    const { object } = await generateObject({ model: provider(name), schema: Verdict, prompt: "What is 17 + 25?", ...settings });
    // the provider of Anthropic asks models that it does not know for a tool call, which is made up
    assert.ok(wire === "messages" || object.answer === 42, JSON.stringify(object));
    Verdict.parse(object);
    const streamed = streamObject({ model: provider(name), schema: Verdict, prompt: "What is 17 + 25?", ...settings });
    await all(streamed.partialObjectStream);
    assert.deepEqual(await streamed.object, object);
  });

  check(`${wire}: streamText`, async (name) => {
    const prompt = "Tell me about rivers — and 漢字.";
    const { text } = await generateText({ model: provider(name), prompt, ...settings });
    const result = streamText({ model: provider(name), prompt, ...settings });
    const pieces = await all(result.textStream);
    assert.ok(pieces.length > 1);
    assert.equal(pieces.join(""), text);
    assert.ok((await result.usage).outputTokens > 0);
  });

  check(`${wire}: streamText with tools`, async (name) => {
    const result = streamText({
      model: provider(name), prompt: "Use get_weather for Lima", tools: { get_weather }, stopWhen: isStepCount(3), ...settings,
    });
    await result.consumeStream({ onError: (error) => assert.fail(error) });
    const steps = await result.steps;
    assert.equal(steps.length, 2);
    assert.equal(steps[0].finishReason, "tool-calls");
    assert.match(await result.text, /Rain in .*, 12 degrees\./);
  });
}

check("embedMany", async (name) => {
  const { embeddings, usage } = await embedMany({ model: openai.embedding(name), values: ["a river", "a bridge"], maxRetries: 0 });
  assert.equal(embeddings.length, 2);
  assert.ok(usage.tokens > 0);
}, "openai");

await run();
