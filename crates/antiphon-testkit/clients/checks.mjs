// Runs checks of one client, one line of JSON for each, and ends with 1 where one fails. The environment is that of
// checks.py, and TOOLS is the folder with the packages.
import { createRequire } from "node:module";

export const { BASE_URL, SIM_URL } = process.env;
export const MODELS = process.env.MODELS.split(",");
export const GATEWAY = "GATEWAY" in process.env;
export const KEY = process.env.KEY ?? "key-of-the-caller";
export const load = createRequire(`${process.env.TOOLS}/`);

export const parameters = {
  type: "object",
  properties: { city: { type: "string" }, unit: { enum: ["celsius", "fahrenheit"] } },
  required: ["city", "unit"],
  additionalProperties: false,
};

const checks = [];

// A check that takes a model runs for each, or for those whose name has `only` in it.
export function check(name, run, only = "") {
  const isChosen = (model) => !GATEWAY || model.includes(only);
  const models = run.length ? MODELS.filter(isChosen) : [null];
  for (const model of models) checks.push({ name, model, run });
}

export function behindGateway(name, run) {
  if (GATEWAY) checks.push({ name, model: null, run });
}

export async function all(stream) {
  const items = [];
  for await (const item of stream) items.push(item);
  return items;
}

// The error that must come.
export async function refused(call) {
  try {
    await call();
  } catch (error) {
    return error;
  }
  throw new Error("it was answered");
}

export async function run() {
  let failed = checks.length === 0;
  for (const { name, model, run } of checks) {
    const started = performance.now();
    const line = { check: name, model };
    try {
      await run(model);
    } catch (error) {
      failed = true;
      line.failed = String(error.stack ?? error).split("\n").slice(0, 20);
    }
    line.ms = Math.round(performance.now() - started);
    console.log(JSON.stringify(line));
  }
  process.exit(failed ? 1 : 0);
}
