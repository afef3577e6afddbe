// The numbers as they come: server-sent events, read with fetch, as a browser's EventSource cannot send a key.

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 5000;
/** A gateway that says nothing for so long is gone, though nobody closed the connection. */
const SILENCE_MS = 5000;

/** Splits a stream of bytes into the data of its events. */
async function* dataOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    waiting += value;
    const events = waiting.split("\n\n");
    waiting = events.pop();
    for (const event of events) {
      const lines = event.split("\n").filter((line) => line.startsWith("data:"));
      if (lines.length > 0) yield lines.map((line) => line.slice(5).trimStart()).join("\n");
    }
  }
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Resolves once somebody looks at the tab: nothing is sent to one in the background. */
function shown() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
  });
}

/**
 * Tells every snapshot to `told`, and goes on for ever: whoever is lost is called again.
 * `lost` hears why there is none; `keyOf(why)` gives the key where one is needed.
 */
export async function follow({ told, lost, keyOf }) {
  let key = null;
  let failures = 0;
  for (;;) {
    await shown();
    const leaving = new AbortController();
    const leave = () => document.hidden && leaving.abort();
    document.addEventListener("visibilitychange", leave);
    let silence;
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(() => leaving.abort(), SILENCE_MS);
    };
    try {
      heard();
      const headers = key === null ? {} : { authorization: `Bearer ${key}` };
      const answer = await fetch("/dashboard/events", { headers, cache: "no-store", signal: leaving.signal });
      if (answer.status === 401 || answer.status === 403) {
        clearTimeout(silence);
        const why = (await answer.json())?.error?.message ?? "";
        key = await keyOf(String(why));
        continue;
      }
      if (!answer.ok) throw new Error(`the gateway answered with ${answer.status}`);
      for await (const data of dataOf(answer.body)) {
        heard();
        failures = 0;
        told(JSON.parse(data));
      }
      // it ended well: the configuration was replaced, or the gateway is about to go
    } catch {
      // gone, silent or not to be understood: all of these are tried again
    } finally {
      clearTimeout(silence);
      document.removeEventListener("visibilitychange", leave);
    }
    if (document.hidden) continue;
    failures += 1;
    if (failures > 1) lost();
    await pause(Math.min(FIRST_PAUSE_MS * 2 ** (failures - 1), LONGEST_PAUSE_MS));
  }
}
