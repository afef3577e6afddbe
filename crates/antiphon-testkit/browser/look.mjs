// Opens a page as a phone and as a desktop, light and dark, and judges what is there.
//
//   node look.mjs TOOLS CHROMIUM PAGE SHOTS TEXTS
//
// TOOLS holds node_modules; SHOTS is the beginning of the names of screenshots; TEXTS is a JSON list of what must be read
// on the page, letter for letter. Faults are printed, a line each; with one the exit code is 1.

import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [tools, chromium, file, shots, texts] = process.argv.slice(2);
const { chromium: browserType } = createRequire(`${tools}/`)("playwright-core");
const address = pathToFileURL(file).href;
const faults = [];

/** Runs in the page: everything a reader would stumble over. */
function judge(texts) {
  const faults = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) {
    faults.push(`the page is ${root.scrollWidth} wide in a window of ${root.clientWidth}`);
  }
  const isUnseen = (element) => element.closest(".unseen, .widest, thead, title, desc, script, style") !== null;
  const all = [...document.body.querySelectorAll("*")].filter((element) => !isUnseen(element));
  for (const element of all) {
    const box = element.getBoundingClientRect();
    if (box.right > root.clientWidth + 1 || box.left < -1) {
      faults.push(`<${element.tagName} class="${element.getAttribute("class")}"> leaves the window: ${box.left} to ${box.right}`);
    }
  }

  const sections = [...document.querySelectorAll("section")];
  if (sections.length < 8) faults.push(`only ${sections.length} sections`);
  for (const section of sections) {
    const box = section.getBoundingClientRect();
    const isShown = section.checkVisibility({ opacityProperty: true, visibilityProperty: true });
    if (!isShown || box.width < 200 || box.height < 40) faults.push(`section ${section.id} is not to be seen`);
  }

  for (const svg of document.querySelectorAll("svg")) {
    const box = svg.getBoundingClientRect();
    const name = svg.querySelector("title")?.textContent;
    if (!name || !svg.querySelector("desc")?.textContent) faults.push("a chart without title or description");
    if (box.width < 150 || box.height < 100) faults.push(`chart ${name} is ${box.width} by ${box.height}`);
    for (const path of svg.querySelectorAll("path")) {
      const drawn = path.getBBox();
      if (!(drawn.width > 0 || drawn.height > 0)) faults.push(`chart ${name}: .${path.getAttribute("class")} is empty`);
    }
  }

  // labels of one axis do not touch
  for (const axis of document.querySelectorAll(".x, .y")) {
    const boxes = [...axis.querySelectorAll(".tick")].map((tick) => [tick.textContent, tick.getBoundingClientRect()]);
    for (const [number, [label, box]] of boxes.entries()) {
      for (const [other, next] of boxes.slice(number + 1)) {
        const touch = box.left < next.right && next.left < box.right && box.top < next.bottom && next.top < box.bottom;
        if (touch) faults.push(`labels ${label} and ${other} overlap`);
      }
    }
  }

  const colours = (text) =>
    [...text.matchAll(/rgba?\(([^)]+)\)/g)].map(([, parts]) => {
      const [r, g, b, a = 1] = parts.split(/[\s,/]+/).filter(Boolean).map(Number);
      return { r, g, b, a };
    });
  const over = (top, under) => {
    const mix = (name) => top[name] * top.a + under[name] * (1 - top.a);
    return { r: mix("r"), g: mix("g"), b: mix("b"), a: 1 };
  };
  const luminance = ({ r, g, b }) => {
    const linear = (part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  };
  const contrast = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  /** What may lie behind an element's text: one colour, or each end of a gradient. */
  const grounds = (element) => {
    if (!element) return [{ r: 255, g: 255, b: 255, a: 1 }];
    const style = getComputedStyle(element);
    const own = [...colours(style.backgroundImage), ...colours(style.backgroundColor)].filter(({ a }) => a > 0);
    const under = own.some(({ a }) => a === 1) && own.length === 1 ? [] : grounds(element.parentElement);
    if (own.length === 0) return under;
    return [...own.flatMap((top) => (top.a === 1 ? [top] : under.map((ground) => over(top, ground)))), ...under];
  };
  let judged = 0;
  for (const element of all) {
    const speaks = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
    if (!speaks || !element.checkVisibility({ visibilityProperty: true })) continue;
    judged += 1;
    const style = getComputedStyle(element);
    const [ink] = colours(style.color);
    const least = Math.min(...grounds(element).map((ground) => contrast(over(ink, ground), ground)));
    const said = element.textContent.trim().slice(0, 40);
    if (!(least >= 4.5)) faults.push(`contrast ${least.toFixed(2)} of "${said}"`);
    if (parseFloat(style.fontSize) < 12) faults.push(`"${said}" is ${style.fontSize} large`);
  }
  if (judged < 30) faults.push(`only ${judged} texts`);

  for (const text of texts) {
    if (!document.body.innerText.includes(text)) faults.push(`not to be read: ${text}`);
  }
  return faults;
}

const browser = await browserType.launch({
  executablePath: chromium,
  // the page under test is our own, and root has no sandbox
  args: process.getuid() === 0 ? ["--no-sandbox"] : [],
});
try {
  for (const [device, viewport] of [
    ["phone", { width: 360, height: 800 }],
    ["desktop", { width: 1280, height: 900 }],
  ]) {
    for (const colorScheme of ["light", "dark"]) {
      const place = `${device}, ${colorScheme}`;
      const found = (fault) => faults.push(`${place}: ${fault}`);
      const context = await browser.newContext({ viewport, colorScheme, deviceScaleFactor: device === "phone" ? 2 : 1 });
      const page = await context.newPage();
      page.on("console", (message) => found(`console: ${message.text()}`));
      page.on("pageerror", (error) => found(`error: ${error}`));
      page.on("dialog", (dialog) => {
        found(`dialog: ${dialog.message()}`);
        dialog.dismiss();
      });
      page.on("request", (request) => request.url() === address || found(`request of ${request.url()}`));
      await page.goto(address);
      (await page.evaluate(judge, JSON.parse(texts))).forEach(found);
      const isDark = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      const [red] = isDark.match(/\d+/);
      if (Number(red) < 128 !== (colorScheme === "dark")) found(`the ground is ${isDark}`);
      await page.screenshot({ path: `${shots}-${device}-${colorScheme}.png`, fullPage: true });
      if (place === "desktop, light") {
        // between the two, and below: where the layout changes, and what readers zoom to
        for (const width of [320, 600, 719, 720, 1024]) {
          await page.setViewportSize({ width, height: 800 });
          (await page.evaluate(judge, [])).forEach((fault) => faults.push(`${width} wide: ${fault}`));
        }
      }
      await context.close();
    }
  }
} finally {
  await browser.close();
}
faults.forEach((fault) => console.log(fault));
process.exitCode = faults.length > 0 ? 1 : 0;
