// A client of the Model Context Protocol does what a plan says and tells of it, one line of JSON for each event. The plan is
// that of plan.py, and TOOLS is the folder with the packages.
import { createRequire } from "node:module";

export const PLAN = JSON.parse(process.env.PLAN);
export const DECLINED = -1;
export const load = createRequire(`${process.env.TOOLS}/`);

export function tell(event, facts = {}) {
  console.log(JSON.stringify({ event, ...facts }));
}

const isIn = (name, text) => PLAN[name] != null && text.includes(PLAN[name]);

// All that the messages of a sampling say.
function textOf(params) {
  const blocks = params.messages.flatMap(({ content }) => content);
  return blocks.map((block) => block.text ?? "").join("\n");
}

async function answeredByTheProvider(params, signal) {
  const messages = [{ role: "user", content: textOf(params) }];
  if (params.systemPrompt) messages.unshift({ role: "system", content: params.systemPrompt });
  const headers = { "content-type": "application/json", authorization: "Bearer key-of-the-client" };
  const body = JSON.stringify({ model: "lent", messages, max_tokens: params.maxTokens });
  const answer = await fetch(`${PLAN.model}/chat/completions`, { method: "POST", headers, body, signal });
  return (await answer.json()).choices[0].message.content;
}

function moment() {
  let happen;
  const happened = new Promise((resolve) => (happen = resolve));
  return { happened, happen };
}

// The model that the client lends, and what somebody waits for: the moments to give up and to leave.
export const givingUp = moment();
export const leaving = moment();
const gathered = moment();
let inFlight = 0;

// The result of `sampling/createMessage`; null where the user declines.
export async function sample(params, signal) {
  const text = textOf(params);
  inFlight += 1;
  tell("sampled", { text, params, in_flight: inFlight });
  signal?.addEventListener("abort", () => tell("withdrawn", { text }), { once: true });
  try {
    if (isIn("gives_up", text)) givingUp.happen();
    if (isIn("leaves", text)) leaving.happen();
    if (isIn("holds", text)) await new Promise(() => {});
    if (inFlight >= (PLAN.gathers ?? 0)) gathered.happen();
    await gathered.happened;
    if (isIn("refuses", text)) return null;
    const said = await answeredByTheProvider(params, signal);
    return { role: "assistant", content: { type: "text", text: said }, model: "lent", stopReason: "endTurn" };
  } finally {
    inFlight -= 1;
  }
}

// Makes all calls of the plan, each with `call({ name, arguments }, options)`.
async function callAll(call) {
  let count = 0;
  const one = async ({ tool, arguments: given }) => {
    const number = count++;
    const options = {
      onprogress: ({ progress: done, total, message }) => tell("progress", { call: number, done, total, message }),
      // a test waits longer than the minute after which the client gives up by itself
      timeout: 600_000,
    };
    const controller = new AbortController();
    if (isIn("gives_up", JSON.stringify(given))) {
      options.signal = controller.signal;
      givingUp.happened.then(() => controller.abort("the user gave it up"));
    }
    try {
      tell("result", { call: number, result: await call({ name: tool, arguments: given }, options) });
    } catch (error) {
      if (controller.signal.aborted) tell("result", { call: number, result: { given_up: true } });
      else tell("failed", { call: number, code: error?.code ?? null, message: String(error) });
    }
  };
  for (const calls of PLAN.rounds) await Promise.all(calls.map(one));
}

// What a plan says, with a client that is not connected yet; `protocol` tells the version that was agreed on.
export async function carryOut({ client, transport, protocol, call }) {
  await client.connect(transport);
  const { tools } = await client.listTools();
  const names = tools.map((tool) => tool.name);
  tell("ready", { protocol: protocol(), server: client.getServerVersion() ?? null, tools: names });
  await Promise.race([callAll(call), leaving.happened]);
  await client.close();
  tell("end");
  // nothing that is still held keeps the process
  process.exit(0);
}
