// Rows of tables, kept while what they tell of is there: a row that is read or selected does not jump.

import { say } from "./charts.js";

export const show = (id, isShown) => {
  const element = document.getElementById(id);
  if (element.hidden === isShown) element.hidden = !isShown;
};

/** Text of others on one line: characters that would turn it around, or that nobody sees, are shown as such. */
export const plain = (text) =>
  String(text).replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+/g, (odd) => (/^[\n\r\t]+$/.test(odd) ? " " : "�"));

/** Puts the rows in order. `keyOf` tells rows apart, `cellsOf` says what stands in each. */
export function fill(body, items, keyOf, cellsOf) {
  const names = [...(body.closest("table").tHead?.rows[0].cells ?? [])].map((cell) => cell.textContent);
  const kept = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  const seen = new Map();
  let previous = null;
  for (const item of items) {
    const name = JSON.stringify(keyOf(item));
    const times = seen.get(name) ?? 0;
    seen.set(name, times + 1);
    const key = `${name} ${times}`;
    const cells = cellsOf(item);
    const row = kept.get(key) ?? newRow(key, cells, names);
    kept.delete(key);
    cells.forEach((cell, number) => write(row.cells[number], cell));
    const place = previous ? previous.nextSibling : body.firstChild;
    if (place !== row) body.insertBefore(row, place);
    previous = row;
  }
  kept.forEach((row) => row.remove());
}

function newRow(key, cells, names) {
  const row = document.createElement("tr");
  row.dataset.key = key;
  row.setAttribute("role", "row");
  cells.forEach((cell, number) => {
    const made = document.createElement(cell.head === undefined ? "td" : "th");
    made.setAttribute("role", cell.head === undefined ? "cell" : "rowheader");
    made.dataset.name = names[number] ?? "";
    if (cell.head !== undefined) {
      made.scope = "row";
      made.append(document.createElement(cell.code ? "code" : "bdi"), document.createElement("small"));
    } else {
      made.append(document.createElement("span"));
      if (cell.wraps) made.className = "wraps";
    }
    row.append(made);
  });
  return row;
}

function write(made, cell) {
  const [first, small] = made.children;
  say(first, cell.head ?? cell.text);
  if (small) {
    say(small, cell.soft || "");
    small.hidden = !cell.soft;
    return;
  }
  const className = cell.pill ? `state ${cell.pill}` : cell.bad ? "told-bad" : "";
  if (first.className !== className) first.className = className;
  if (cell.share !== undefined) {
    made.classList.add("share");
    made.style.setProperty("--share", `${Math.min(Math.max(cell.share, 0), 1) * 100}%`);
  }
}
