// The page: takes a snapshot a second and puts it down. Everything from outside becomes text, never markup.

import { Chart, bars, say, steps } from "./charts.js";
import { follow } from "./events.js";
import { UNKNOWN, axis, count, digits, dollars, duration, gases, known, milliseconds, percent } from "./numbers.js";
import { fill, plain, show } from "./tables.js";

const at = (id) => document.getElementById(id);
const tell = (id, text) => say(at(id), text);

const charts = {
  rate: new Chart(at("chart-rate"), [["bar", "answered"], ["failed", "failed or hung up"]], 10),
  latency: new Chart(
    at("chart-latency"),
    [["p99", "p99"], ["p90", "p90"], ["p50", "median"], ["first-token", "first token, median"]],
    10,
  ),
  cost: new Chart(at("chart-cost"), [["bar", "each minute"]], 10),
};

function state({ endpoints, uptime_s: uptime, version }) {
  const ill = endpoints.filter(({ state }) => state !== "up");
  const pill = at("state");
  pill.className = `state ${ill.length > 0 ? "warn" : "good"}`;
  say(pill, ill.length > 0 ? `${count(ill.length)} of ${count(endpoints.length)} models not well` : "serving");
  tell("about", `up for ${duration(uptime)}`);
  tell("version", ` ${version}`);
}

function tiles(snapshot) {
  const { total, window, latency_ms: latency, first_token_ms: first } = snapshot;
  tell("rate", `${digits(snapshot.rate)}/s`);
  tell("rate-sub", `${count(snapshot.last_minute)} in the last minute`);
  const waiting = snapshot.endpoints.reduce((sum, endpoint) => sum + endpoint.waiting, 0);
  tell("flight", count(snapshot.in_flight));
  tell("flight-sub", `${count(waiting)} waiting for a limit`);
  const tails = (of) => (of ? `p90 ${milliseconds(of.p90)} · p99 ${milliseconds(of.p99)}` : "nothing in ten minutes");
  tell("latency", median(latency));
  tell("latency-sub", tails(latency));
  tell("first", median(first));
  tell("first-sub", first ? tails(first) : "no stream in ten minutes");
  tell("errors", percent(window.failed, window.calls));
  at("errors").classList.toggle("told-bad", window.failed > 0);
  tell("errors-sub", `${count(window.failed)} of ${count(window.calls)} calls failed`);
  tell("tokens", known(total.input_tokens, (input) => count(input + total.output_tokens)));
  tell("tokens-sub", known(total.input_tokens, (input) => `${count(input)} read, ${count(total.output_tokens)} written`));
  tell("cost", known(total.cost_usd, dollars));
  const unpriced = total.unpriced_answers + total.lost_attempts;
  tell("cost-sub", unpriced > 0 ? `without ${count(unpriced)} of unknown cost` : `of ${count(total.calls)} calls`);
  tell("carbon", known(total.gwp_kgco2eq, gases));
  const unestimated = total.unestimated_answers;
  tell("carbon-sub", unestimated > 0 ? `CO₂e, estimated, without ${count(unestimated)} answers` : "CO₂e, estimated");
}

function draw({ series, rate, latency_ms: latency, window }) {
  const perSecond = (values) => values.map((value) => value / series.calls_step_s);
  const [answered, failed] = [perSecond(series.answered), perSecond(series.failed)];
  const sums = answered.map((value, number) => value + failed[number]);
  const most = Math.max(...sums);
  const rates = axis(most || 1, digits);
  const share = (top) => (value) => (value === null ? null : value / top);
  charts.rate.draw({
    lead:
      most > 0
        ? `Up to ${digits(most)} calls a second ended in the last ten minutes; ${digits(rate)} a second come now.`
        : `No calls in the last ten minutes, but for those of the last seconds.`,
    unit: "calls a second",
    axis: rates,
    shapes: [
      ["bar", bars(answered.map(share(rates.top)))],
      ["failed", bars(sums.map(share(rates.top)), answered.map(share(rates.top)))],
    ],
  });

  const of = (steps, name) => steps.map((step) => step?.[name] ?? null);
  const times = Object.fromEntries(["p50", "p90", "p99"].map((name) => [name, of(series.latency_ms, name)]));
  const first = of(series.first_token_ms, "p50");
  const longest = Math.max(0, ...times.p99, ...first);
  const latencies = axis(longest || 1, milliseconds);
  charts.latency.draw({
    lead: latency
      ? `Of ten calls, nine took less than ${milliseconds(latency.p90)}; of a hundred, all but one less than ${milliseconds(latency.p99)}.`
      : "Nothing was answered in the last ten minutes.",
    unit: "from a request to the end of its answer, in steps of ten seconds",
    axis: latencies,
    shapes: [
      ...["p99", "p90", "p50"].map((name) => [name, steps(times[name].map(share(latencies.top)))]),
      ["first-token", steps(first.map(share(latencies.top)))],
    ],
  });

  const dearest = Math.max(0, ...series.cost_usd);
  const costs = axis(dearest || 0.01, (value) => `$${digits(value)}`);
  charts.cost.draw({
    lead:
      window.cost_usd === null
        ? "No answer of the last ten minutes has a known price."
        : `${dollars(window.cost_usd)} in the last ten minutes, of answers with a known price.`,
    unit: "dollars a minute",
    axis: costs,
    shapes: [["bar", bars(series.cost_usd.map((value) => (value ?? 0) / costs.top))]],
  });
}

function failures({ errors, failures }) {
  show("failed-some", errors.length > 0);
  show("failed-none", errors.length === 0);
  const all = errors.reduce((sum, { count }) => sum + count, 0);
  const worst = [...errors].sort((one, other) => other.count - one.count);
  fill(at("codes"), worst, ({ code }) => code, ({ code, count: number }) => [
    { head: plain(code), code: true },
    { text: count(number) },
    { text: percent(number, all) },
  ]);
  const list = at("messages");
  const told = failures.slice(0, 4).map((call) => [`${clock(call.at_ms)} · ${call.asked || "no model"}`, call.error ?? call.kind]);
  const texts = JSON.stringify(told);
  if (list.dataset.told === texts) return;
  list.dataset.told = texts;
  list.replaceChildren(
    ...told.map(([when, message]) => {
      const item = document.createElement("li");
      const small = document.createElement("small");
      small.textContent = plain(when);
      const said = document.createElement("span");
      said.textContent = plain(message);
      item.append(said, small);
      return item;
    }),
  );
}

const clock = (milliseconds) => new Date(milliseconds).toLocaleTimeString("en-GB");

const STATES = {
  up: ["good", "up"],
  paused: ["warn", "paused"],
  down: ["bad", "down"],
  probing: ["warn", "probing"],
  given_up: ["bad", "given up"],
};

function endpoints({ endpoints, endpoints_left_out: leftOut }) {
  show("endpoints-table", endpoints.length > 0);
  show("endpoints-none", endpoints.length === 0);
  fill(at("endpoints-rows"), endpoints, ({ name }) => name, (endpoint) => {
    const [tone, word] = STATES[endpoint.state] ?? ["rest", endpoint.state];
    const since = endpoint.down_s === null ? "" : ` for ${duration(endpoint.down_s)}`;
    const until = endpoint.paused_s === null ? "" : ` for ${duration(Math.ceil(endpoint.paused_s))}`;
    const limits = [["rpm", "calls"], ["tpm", "tokens"], ["itpm", "tokens in"], ["otpm", "tokens out"]]
      .filter(([name]) => endpoint[name] !== null)
      .map(([name, what]) => `${count(endpoint[name])} ${what}`);
    return [
      { head: plain(endpoint.name) },
      { text: word + (since || until), pill: tone },
      { text: count(endpoint.in_flight) },
      { text: count(endpoint.waiting) },
      { text: `${count(endpoint.limit)} of ${count(endpoint.most)}` },
      { text: limits.join(", ") || UNKNOWN, wraps: true },
    ];
  });
  show("endpoints-rest", leftOut > 0);
  tell("endpoints-rest", `${count(leftOut)} more are up and idle.`);
}

const usage = (of) => known(of.input_tokens, (input) => count(input + of.output_tokens));
const cost = (of) => known(of.cost_usd, dollars);
const median = (of) => (of ? milliseconds(of.p50) : "–");

function models({ models }) {
  show("models-table", models.length > 0);
  show("models-none", models.length === 0);
  fill(at("models-rows"), models, ({ name }) => name, (model) => [
    { head: model.name === null ? "others" : plain(model.name), soft: model.name === null && "names that no model has, or beyond the first 200" },
    { text: count(model.calls) },
    { text: count(model.failed), bad: model.failed > 0 },
    { text: median(model.latency_ms) },
    { text: model.latency_ms ? milliseconds(model.latency_ms.p99) : "–" },
    { text: median(model.first_token_ms) },
    { text: usage(model) },
    { text: cost(model) },
  ]);
}

function callers({ callers, budgets }) {
  const byName = new Map(callers.map((caller) => [caller.name, caller]));
  const silent = budgets.filter(({ name }) => !byName.has(name)).map(({ name }) => ({ name }));
  const all = [...callers, ...silent];
  show("callers-table", all.length > 0);
  show("callers-none", all.length === 0);
  fill(at("callers-rows"), all, ({ name }) => name, (caller) => {
    const budget = budgets.find(({ name }) => name === caller.name);
    const told = budget && `${dollars(budget.spent_usd)} of ${dollars(budget.budget_usd)}`;
    return [
      { head: caller.name === null ? "others" : plain(caller.name) },
      { text: count(caller.calls ?? 0) },
      { text: count(caller.failed ?? 0), bad: caller.failed > 0 },
      { text: median(caller.latency_ms) },
      { text: caller.calls ? usage(caller) : "0" },
      { text: caller.calls ? cost(caller) : "$0" },
      { text: told ?? "none", share: budget && budget.spent_usd / budget.budget_usd },
    ];
  });
}

function latest({ latest }) {
  fill(at("latest-rows"), latest, ({ id }) => id, (call) => {
    // a name that only lacks its provider needs no second one
    const isAnother = call.model !== null && call.model !== call.asked && !call.model.endsWith(`/${call.asked}`);
    const answered = isAnother ? ` → ${call.model}` : "";
    const about = [call.caller, call.is_cached && "cached", call.attempts > 1 && `${count(call.attempts)} attempts`, call.error];
    const ends = { answered: "plain", failed: "bad", hung_up: "warn" };
    const words = { answered: call.finish_reason ?? "answered", failed: call.kind, hung_up: "hung up" };
    return [
      { head: plain((call.asked || "no model") + answered), soft: plain(about.filter(Boolean).join(" · ")) },
      { text: `${call.status} ${plain(words[call.outcome] ?? "")}`, pill: ends[call.outcome], wraps: true },
      { text: clock(call.at_ms) },
      { text: milliseconds(call.took_ms) },
      { text: call.first_token_ms === null ? "–" : milliseconds(call.first_token_ms) },
      { text: usage(call) },
      { text: cost(call) },
    ];
  });
}

function told(snapshot) {
  show("lost", false);
  const isBusy = snapshot.total.calls + snapshot.in_flight > 0;
  show("live", isBusy);
  show("start", !isBusy);
  for (const part of [state, tiles, draw, failures, endpoints, models, callers, latest]) part(snapshot);
}

function lost() {
  tell("lost", "Connection lost, trying again");
  show("lost", true);
  at("state").className = "state bad";
  tell("state", "no connection");
}

/** Asks for a key; the one that was given last was wrong, if there was one. */
function keyOf(why) {
  at("key-why").textContent = plain(why);
  show("live", false);
  show("start", false);
  show("lost", false);
  show("key", true);
  at("state").className = "state warn";
  tell("state", "locked");
  tell("about", "an admin's key opens it");
  const field = at("key-value");
  field.focus();
  return new Promise((resolve) => {
    const given = (event) => {
      event.preventDefault();
      at("key").removeEventListener("submit", given);
      show("key", false);
      resolve(field.value.trim());
      field.value = "";
    };
    at("key").addEventListener("submit", given);
  });
}

function start() {
  const url = location.origin;
  tell("host", location.host);
  document.title = `${location.host} – Antiphon gateway`;
  tell("exports", `export OPENAI_BASE_URL=${url}/v1\nexport ANTHROPIC_BASE_URL=${url}`);
  const body = `{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say hello"}]}`;
  tell("curl", `curl ${url}/v1/chat/completions \\\n  -H 'content-type: application/json' \\\n  -d '${body}'`);
  for (const button of document.querySelectorAll("[data-copies]")) {
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(at(button.dataset.copies).textContent);
      say(button, "Copied");
      tell("copied", "Copied");
      setTimeout(() => say(button, "Copy"), 2000);
    });
  }
}

start();
follow({ told, lost, keyOf });
