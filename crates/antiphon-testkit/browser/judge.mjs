// What is judged of a page, by what looks at it.

/** The two devices: a phone and a desktop. */
export const DEVICES = [
  ["phone", { width: 360, height: 800 }],
  ["desktop", { width: 1280, height: 900 }],
];

/** How the browser is started: the page under test is our own, and root has no sandbox. */
export const launch = (browserType, executablePath) =>
  browserType.launch({ executablePath, args: process.getuid() === 0 ? ["--no-sandbox"] : [] });

/** Whether the ground of the page is dark. */
export async function isDark(page) {
  const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  return Number(ground.match(/\d+/)[0]) < 128;
}

/** Runs in the page: everything a reader would stumble over. */
export function judge({ texts, sections: leastSections, words }) {
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

  const isLeftOut = (element) => element.closest("[hidden]") !== null;
  const sections = [...document.querySelectorAll("section")].filter((section) => !isLeftOut(section));
  if (sections.length < leastSections) faults.push(`only ${sections.length} sections`);
  for (const section of sections) {
    const box = section.getBoundingClientRect();
    const isShown = section.checkVisibility({ opacityProperty: true, visibilityProperty: true });
    if (!isShown || box.width < 200 || box.height < 40) faults.push(`section ${section.id} is not to be seen`);
  }

  for (const svg of document.querySelectorAll("svg")) {
    if (isLeftOut(svg)) continue;
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
  if (judged < words) faults.push(`only ${judged} texts`);

  for (const text of texts) {
    if (!document.body.innerText.includes(text)) faults.push(`not to be read: ${text}`);
  }
  return faults;
}
