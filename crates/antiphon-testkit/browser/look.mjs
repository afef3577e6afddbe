// Opens a page as a phone and as a desktop, light and dark, and judges what is there.
//
//   node look.mjs TOOLS CHROMIUM PAGE SHOTS TEXTS
//
// TOOLS holds node_modules; SHOTS is the beginning of the names of screenshots; TEXTS is a JSON list of what must be read
// on the page, letter for letter. Faults are printed, a line each; with one the exit code is 1.

import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

import { DEVICES, isDark, judge, launch } from "./judge.mjs";

const [tools, chromium, file, shots, texts] = process.argv.slice(2);
const { chromium: browserType } = createRequire(`${tools}/`)("playwright-core");
const address = pathToFileURL(file).href;
const faults = [];

const asked = { texts: JSON.parse(texts), sections: 8, words: 30 };
const browser = await launch(browserType, chromium);
try {
  for (const [device, viewport] of DEVICES) {
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
      (await page.evaluate(judge, asked)).forEach(found);
      if ((await isDark(page)) !== (colorScheme === "dark")) found("the ground is of the other scheme");
      await page.screenshot({ path: `${shots}-${device}-${colorScheme}.png`, fullPage: true });
      if (place === "desktop, light") {
        // between the two, and below: where the layout changes, and what readers zoom to
        for (const width of [320, 600, 719, 720, 1024]) {
          await page.setViewportSize({ width, height: 800 });
          (await page.evaluate(judge, { ...asked, texts: [] })).forEach((fault) => faults.push(`${width} wide: ${fault}`));
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
