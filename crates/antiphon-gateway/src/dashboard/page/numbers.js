// Numbers as people read them: written as the report of a run writes them (`antiphon::numbers`).

export const UNKNOWN = "unknown";

/** `1319` as `1,319`. */
export const count = (number) => String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, ",");

/** Three digits, and no more places than they need: `0.0123`, `1.2`, `123`, `1,234`. */
export function digits(value) {
  if (value === 0 || !Number.isFinite(value)) return "0";
  const magnitude = Math.floor(Math.log10(Math.abs(value)));
  if (magnitude >= 2) return count(value);
  const text = value.toFixed(Math.min(Math.max(2 - magnitude, 0), 12));
  return text.replace(/\.?0+$/, "");
}

const suited = (most, units) => units.find(([size]) => most >= size) ?? units.at(-1);

const LATENCIES = [[3_600_000, "h"], [60_000, "min"], [1000, "s"], [1, "ms"]];

/** Milliseconds as a latency: `0.42 ms`, `812 ms`, `1.24 s`, `12 min`. */
export function milliseconds(value) {
  const [size, unit] = suited(value, LATENCIES);
  return `${digits(value / size)} ${unit}`;
}

/** A duration in its two largest units. */
export function duration(seconds) {
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${Math.floor(whole / 60) % 60} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor(whole / 3600) % 24} h`;
}

/** Dollars: two places from a dollar on, four below it, and what is less with two digits that are not zero. */
export function dollars(value) {
  if (value === 0) return "$0";
  if (value >= 1) {
    const [whole, cents] = value.toFixed(2).split(".");
    return `$${count(Number(whole))}.${cents}`;
  }
  if (value >= 0.01) return `$${value.toFixed(4).replace(/00$/, "")}`;
  const zeros = Math.max(0, Math.floor(-Math.log10(value)));
  return `$${value.toFixed(Math.min(zeros + 2, 20))}`;
}

/** Two figures that say something: estimates have no more. */
function figures(value) {
  if (value === 0) return "0";
  if (value >= 10) return count(value);
  const zeros = Math.min(Math.max(Math.floor(-Math.log10(value)), -1), 12);
  return value.toFixed(Math.max(zeros + 2, 1));
}

const GASES_KG = [[1e3, "t"], [1, "kg"], [1e-3, "g"], [1e-6, "mg"]];

/** Greenhouse gases from least to most: `0.70–1.2 g`. */
export function gases({ min, max }) {
  const [size, unit] = suited(max, GASES_KG);
  const [least, most] = [figures(min / size), figures(max / size)];
  return least === most ? `${most} ${unit}` : `${least}–${most} ${unit}`;
}

/** A share: `0.5 %`, `12 %`. */
export const percent = (part, whole) => `${digits(whole > 0 ? Math.round((part / whole) * 1000) / 10 : 0)} %`;

/** The number as `tell` writes it, or that it is unknown. */
export const known = (value, tell) => (value === null || value === undefined ? UNKNOWN : tell(value));

/** A round end of an axis for values up to `most`, and its labels from 0 up. */
export function axis(most, tell) {
  const rough = Math.max(most / 4, Number.MIN_VALUE * 1e10);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 2.5, 5, 10].find((times) => times * power >= rough * 0.999999) ?? 10) * power;
  const steps = Math.max(1, Math.ceil(most / step - 1e-6));
  const ticks = Array.from({ length: steps + 1 }, (_, number) => [(number / steps) * 100, tell(step * number)]);
  return { top: steps * step, ticks };
}
