// Numbers, units and texts, as people write them.

const THIN = "\u2009"; // between a number and its unit

/** Three significant digits, and no more zeros than that: 0.0123, 1.23, 12.3, 123. */
function digits(value) {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 99.95) return String(Math.round(value));
  const places = Math.max(0, 2 - Math.floor(Math.log10(size * 1.00001)));
  return String(Number(value.toFixed(Math.min(places, 12))));
}

function scaled(value, steps) {
  const size = Math.abs(value);
  const [divisor, suffix] = steps.find(([least]) => size >= least * 0.9995) ?? steps[steps.length - 1];
  return [digits(value / divisor), suffix];
}

const THOUSANDS = [
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
  [1, ""],
];
const BINARY = [
  [2 ** 40, "TiB"],
  [2 ** 30, "GiB"],
  [2 ** 20, "MiB"],
  [2 ** 10, "KiB"],
  [1, "B"],
];
const DURATIONS = [
  [86400, "d"],
  [3600, "h"],
  [60, "min"],
  [1, "s"],
  [1e-3, "ms"],
  [1e-6, "µs"],
  [1e-9, "ns"],
];

function isUnknown(value) {
  return value === null || value === undefined || Number.isNaN(value);
}

/** What is known of a number that has no digits; undefined of one that has. */
function special(value) {
  if (isUnknown(value)) return "–";
  if (value === Infinity) return "∞";
  if (value === -Infinity) return "−∞";
  return undefined;
}

function plain(value) {
  return special(value) ?? scaled(value, THOUSANDS).join("");
}

function duration(seconds) {
  const known = special(seconds);
  if (known !== undefined) return known;
  if (seconds === 0) return `0${THIN}s`;
  return scaled(seconds, DURATIONS).join(THIN);
}

function bytes(value) {
  return special(value) ?? scaled(value, BINARY).join(THIN);
}

function bytesPerSecond(rate) {
  return special(rate) ?? `${bytes(rate)}/s`;
}

function percent(ratio) {
  return special(ratio) ?? `${digits(ratio * 100)}${THIN}%`;
}

/** A number of events per second; rare ones per minute or per hour. */
function perSecond(rate) {
  const known = special(rate);
  if (known !== undefined) return known;
  if (rate === 0 || Math.abs(rate) >= 0.1) return `${plain(rate)}/s`;
  return Math.abs(rate) * 60 >= 0.1 ? `${digits(rate * 60)}/min` : `${digits(rate * 3600)}/h`;
}

/** Whole numbers with all their digits: 12,345. */
function whole(value) {
  return special(value) ?? Math.round(value).toLocaleString("en-US");
}

const UNIT_FORMATS = new Map([
  ["seconds", duration],
  ["s", duration],
  ["milliseconds", (value) => duration(value / 1e3)],
  ["ms", (value) => duration(value / 1e3)],
  ["microseconds", (value) => duration(value / 1e6)],
  ["nanoseconds", (value) => duration(value / 1e9)],
  ["bytes", bytes],
  ["By", bytes],
  ["ratio", percent],
  ["", plain],
  ["1", plain],
]);

/** Return the function that writes values of a unit. */
function inUnit(unit) {
  const known = UNIT_FORMATS.get(unit);
  if (known) return known;
  if (/^\{.*\}$/.test(unit)) return plain; // UCUM's annotation: {request}
  const shown = visible(unit, 20);
  return (value) => special(value) ?? `${plain(value)}${THIN}${shown}`;
}

/** Return the function that writes what a counter of a unit gains in a second. */
function inUnitPerSecond(unit) {
  if (unit === "bytes" || unit === "By") return bytesPerSecond;
  if (unit === "seconds" || unit === "s") return (value) => special(value) ?? `${duration(value)}/s`;
  return perSecond;
}

const UNSEEN =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]|[\u{e0000}-\u{e0fff}]|(?<!\p{Extended_Pictographic}\ufe0f?\p{Emoji_Modifier}?)\u200d|[\ud800-\udfff]/gu;

/**
 * Return a text that can be told from others by eye: what cannot be seen, or changes the order of what can, is written as its
 * number; what is too long is cut.
 */
function visible(text, most = 120) {
  let cut = String(text);
  if (cut.length > most) {
    cut = cut.slice(0, most - 1).replace(/[\ud800-\udbff]$/, "") + "…";
  }
  return cut.replace(UNSEEN, (character) => `\\u{${character.codePointAt(0).toString(16)}}`);
}

/** Return a path without its middle, if it is too long: long paths differ in their last parts. */
function withEnd(path, most) {
  if (path.length <= most) return path;
  const half = Math.floor(most / 2) - 1;
  const [begin, end] = [path.slice(0, half), path.slice(-half)];
  const [from, to] = [begin.lastIndexOf("/"), end.indexOf("/")];
  return from < 0 || to < 0 ? path : `${begin.slice(0, from + 1)}…${end.slice(to)}`;
}

/** The time of day, to the second. */
function clock(seconds, withSeconds = true) {
  const date = new Date(seconds * 1000);
  const two = (number) => String(number).padStart(2, "0");
  const minutes = `${two(date.getHours())}:${two(date.getMinutes())}`;
  return withSeconds ? `${minutes}:${two(date.getSeconds())}` : minutes;
}

/** How long something has lasted, to its two largest units: 3 d 4 h. */
function age(seconds) {
  if (isUnknown(seconds)) return "–";
  const parts = [
    ["d", 86400],
    ["h", 3600],
    ["min", 60],
    ["s", 1],
  ];
  let left = Math.max(0, Math.round(seconds));
  const shown = [];
  for (const [name, size] of parts) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count || (name === "s" && !shown.length)) shown.push(`${count}${THIN}${name}`);
    else if (shown.length) break;
    if (shown.length === 2) break;
  }
  return shown.join(" ");
}
