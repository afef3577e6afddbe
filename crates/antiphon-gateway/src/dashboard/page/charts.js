// Charts as SVG on a plane of 1000 by 300, which the page stretches; labels are HTML, so that they stay readable.

const WIDTH = 1000;
const HEIGHT = 300;
const SVG = "http://www.w3.org/2000/svg";

const element = (name, className, parent) => {
  const made = document.createElement(name);
  if (className) made.className = className;
  parent?.append(made);
  return made;
};

const drawn = (name, attributes, parent) => {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent.append(made);
  return made;
};

const place = (share, length) => Math.round(Math.min(Math.max(share, 0), 1) * length * 10) / 10;
const x = (share) => place(share, WIDTH);
const y = (share) => place(1 - share, HEIGHT);

/** Writes only what has changed, so that a reader's selection and a screen reader are left in peace. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** A chart in its section: `draw` replaces what it shows. */
export class Chart {
  #lead;
  #unit;
  #y;
  #plane;
  #svg;
  #desc;
  #paths = new Map();

  /** `keys`: the class and the meaning of each shape. */
  constructor(section, keys, minutes) {
    const title = section.querySelector("h2").textContent;
    this.#lead = element("p", "lead", section);
    const figure = element("figure", "", section);
    this.#unit = element("p", "unit", figure);
    const plane = element("div", "plane", figure);
    this.#y = element("div", "y", plane);
    this.#y.setAttribute("aria-hidden", "true");
    this.#plane = element("div", "area-of", plane);
    const id = section.id;
    this.#svg = drawn(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-labelledby": `${id}-t ${id}-d` },
      this.#plane,
    );
    drawn("title", { id: `${id}-t` }, this.#svg).textContent = title;
    this.#desc = drawn("desc", { id: `${id}-d` }, this.#svg);
    const bottom = element("div", "x", plane);
    bottom.setAttribute("aria-hidden", "true");
    for (const [at, label] of [[0, `${minutes} min ago`], [50, `${minutes / 2} min`], [100, "now"]]) {
      const tick = element("span", at === 0 ? "tick first" : at === 100 ? "tick last" : "tick", bottom);
      tick.style.left = `${at}%`;
      tick.textContent = label;
    }
    const caption = element("figcaption", "", figure);
    for (const [className, meaning] of keys) {
      const key = element("span", "", caption);
      element("i", `swatch ${className}`, key).setAttribute("aria-hidden", "true");
      key.append(meaning);
    }
  }

  /** `shapes`: class and path of each, from the back to the front. */
  draw({ lead, unit, axis, shapes }) {
    say(this.#lead, lead);
    say(this.#desc, lead);
    say(this.#unit, unit);
    const labels = JSON.stringify(axis.ticks);
    if (this.#y.dataset.labels !== labels) {
      this.#y.dataset.labels = labels;
      this.#label(axis.ticks);
    }
    const left = new Set(this.#paths.keys());
    for (const [className, d] of shapes.filter(([, d]) => d !== "")) {
      left.delete(className);
      let path = this.#paths.get(className);
      if (!path) {
        path = drawn("path", { class: className }, this.#svg);
        this.#paths.set(className, path);
      }
      if (path.getAttribute("d") !== d) path.setAttribute("d", d);
    }
    for (const className of left) {
      this.#paths.get(className).remove();
      this.#paths.delete(className);
    }
  }

  #label(ticks) {
    this.#y.replaceChildren();
    this.#plane.querySelectorAll(".grid").forEach((line) => line.remove());
    const widest = element("span", "widest", this.#y);
    for (const [at, label] of ticks) {
      element("span", "", widest).textContent = label;
      const tick = element("span", "tick", this.#y);
      tick.style.bottom = `${at}%`;
      tick.textContent = label;
      const line = element("i", "grid", null);
      line.style.bottom = `${at}%`;
      line.setAttribute("aria-hidden", "true");
      this.#plane.prepend(line);
    }
  }
}

/** Bars from `lows` up to `highs`, each a share of the height; bars of nothing are left out. */
export function bars(highs, lows) {
  const wide = 1 / highs.length;
  const air = wide * (highs.length > 30 ? 0.1 : 0.12);
  return highs
    .map((high, number) => {
      const low = lows?.[number] ?? 0;
      if (!(high > low)) return "";
      const [from, to] = [number * wide + air, (number + 1) * wide - air];
      return `M${x(from)} ${y(low)}V${y(high)}H${x(to)}V${y(low)}Z`;
    })
    .join("");
}

/** Each value holds for its step; nothing is drawn where nothing is known. */
export function steps(values) {
  const wide = 1 / values.length;
  let d = "";
  let isOpen = false;
  values.forEach((value, number) => {
    if (value === null) {
      isOpen = false;
      return;
    }
    const [from, to] = [number * wide, (number + 1) * wide];
    d += isOpen ? `V${y(value)}H${x(to)}` : `M${x(from)} ${y(value)}H${x(to)}`;
    isOpen = true;
  });
  return d;
}
