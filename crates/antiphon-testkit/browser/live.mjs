// Opens a page of a server as a phone and as a desktop, light and dark, judges it, and sees it go on by itself.
//
//   node live.mjs TOOLS CHROMIUM URL SHOTS PLAN
//
// PLAN is JSON: `texts` that must be read (waited for), `sections` and `words` there must be at least, `then` a request
// (`url`, `body`) after which `after` must be read without a reload, `numbers` [function, argument, text] that the page's
// module of numbers must write, `lost`: whether the loss of the connection, and the want of a key, are tried. Faults are
// printed, a line each; with one the exit code is 1.

import { createRequire } from "node:module";

import { DEVICES, isDark, judge, launch } from "./judge.mjs";

const [tools, chromium, url, shots, planned] = process.argv.slice(2);
const { chromium: browserType } = createRequire(`${tools}/`)("playwright-core");
const plan = JSON.parse(planned);
const faults = [];
const PATIENCE = { timeout: 20_000 };

/** Runs in the page: what may only be there if somebody's text became markup or script. */
function intruders() {
  const own = "script[src='/dashboard/page.js']";
  const strange = [
    `script:not(${own})`, "img", "iframe", "object", "embed", "base", "style", "video", "audio", "marquee", "math", "details",
    "link:not([href='/dashboard/page.css'], [href='data:,'])", "meta[http-equiv]", "svg:not(.area-of > svg)", "form:not(#key)",
    "input:not(#key-value)", "a:not([href='/dashboard/snapshot.json'])", "x",
  ];
  const faults = strange.flatMap((selector) => [...document.querySelectorAll(selector)]).map((element) => `an intruder: ${element.outerHTML}`);
  for (const element of document.querySelectorAll("*")) {
    for (const { name, value } of element.attributes) {
      if (name.startsWith("on") || /^\s*javascript:/i.test(value)) faults.push(`an intruder: ${name}="${value}"`);
    }
  }
  for (const canary of ["canary", "alerted"]) if (window[canary] !== undefined) faults.push(`a script ran: ${window[canary]}`);
  return faults;
}

const isRead = (texts) => texts.every((text) => document.body.innerText.includes(text));

/** Waits until all is read; says what was not. */
async function read(page, texts, found) {
  try {
    await page.waitForFunction(isRead, texts, PATIENCE);
  } catch {
    const seen = await page.evaluate(() => document.body.innerText);
    texts.filter((text) => !seen.includes(text)).forEach((text) => found(`not to be read: ${text}`));
    found(`read was: ${seen}`);
  }
}

/** The connection goes, the page says so, and comes back by itself. */
async function lose(context, found) {
  const page = await context.newPage();
  await page.route("**/dashboard/events", (route) => route.abort());
  await page.goto(url);
  await read(page, ["Connection lost, trying again"], found);
  await page.unroute("**/dashboard/events");
  await read(page, plan.texts, found);
  const isGone = await page.locator("#lost").isHidden();
  if (!isGone) found("the connection is back, and still told as lost");
  await page.close();
}

/** A key is needed: the page asks for it, says why it is refused, and goes on with the right one. */
async function unlock(context, found) {
  const page = await context.newPage();
  await page.route("**/dashboard/events", (route) => {
    const key = route.request().headers().authorization;
    if (key === "Bearer right") return route.continue();
    const body = JSON.stringify({ error: { message: `refused: <b>${key}</b>` } });
    return route.fulfill({ status: 401, contentType: "application/json", body });
  });
  await page.goto(url);
  await read(page, ["refused: <b>undefined</b>"], found);
  await page.keyboard.type("wrong");
  await page.keyboard.press("Enter");
  await read(page, ["refused: <b>Bearer wrong</b>"], found);
  (await page.evaluate(judge, { texts: [], sections: 0, words: 5 })).forEach(found);
  await page.screenshot({ path: `${shots}-locked.png`, fullPage: true });
  await page.keyboard.type("right");
  await page.keyboard.press("Enter");
  await read(page, plan.texts, found);
  if (await page.locator("#key").isVisible()) found("the key was right, and is still asked for");
  await page.close();
}

const browser = await launch(browserType, chromium);
try {
  for (const [device, viewport] of DEVICES) {
    for (const colorScheme of ["light", "dark"]) {
      const place = `${device}, ${colorScheme}`;
      const found = (fault) => faults.push(`${place}: ${fault}`);
      const scale = device === "phone" ? 2 : 1;
      const context = await browser.newContext({ viewport, colorScheme, deviceScaleFactor: scale, reducedMotion: "reduce" });
      const page = await context.newPage();
      page.on("console", (message) => found(`console: ${message.text()}`));
      page.on("pageerror", (error) => found(`error: ${error}`));
      page.on("dialog", (dialog) => {
        found(`dialog: ${dialog.message()}`);
        dialog.dismiss();
      });
      let loads = 0;
      page.on("request", (request) => {
        if (new URL(request.url()).origin !== new URL(url).origin) found(`request of ${request.url()}`);
        if (request.isNavigationRequest()) loads += 1;
      });
      await page.goto(url);
      await read(page, plan.texts, found);
      const asked = { texts: plan.texts, sections: plan.sections, words: plan.words };
      (await page.evaluate(judge, asked)).forEach(found);
      if ((await isDark(page)) !== (colorScheme === "dark")) found("the ground is of the other scheme");
      await page.screenshot({ path: `${shots}-${device}-${colorScheme}.png`, fullPage: true });
      if (place === "desktop, light") {
        for (const width of [320, 600, 719, 720, 959, 960, 1024, 1920]) {
          await page.setViewportSize({ width, height: 800 });
          (await page.evaluate(judge, asked)).forEach((fault) => faults.push(`${width} wide: ${fault}`));
        }
        for (const [name, argument, text] of plan.numbers ?? []) {
          const told = await page.evaluate(async ([name, argument]) => (await import("/dashboard/numbers.js"))[name](argument), [name, argument]);
          if (told !== text) found(`${name}(${JSON.stringify(argument)}) is ${told}, not ${text}`);
        }
        if (plan.then) {
          const headers = { "content-type": "application/json" };
          await (await fetch(plan.then.url, { method: "POST", headers, body: plan.then.body })).arrayBuffer();
          await read(page, plan.after, found);
        }
      }
      (await page.evaluate(intruders)).forEach(found);
      if (loads !== 1) found(`loaded ${loads} times`);
      if (plan.lost && place === "desktop, light") {
        await lose(context, found);
        await unlock(context, found);
      }
      await context.close();
    }
  }
} finally {
  await browser.close();
}
faults.forEach((fault) => console.log(fault));
process.exitCode = faults.length > 0 ? 1 : 0;
