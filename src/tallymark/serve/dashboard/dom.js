// Elements. No text ever becomes markup: there are only createElement and text nodes.

const SVG = "http://www.w3.org/2000/svg";

/** Make an element: h("td", {class: "name", onclick: f}, "text", child, …). What is null or false is left out. */
function h(name, attributes = {}, ...children) {
  return furnish(document.createElement(name), attributes, children);
}

/** Make an element of a picture. */
function s(name, attributes = {}, ...children) {
  return furnish(document.createElementNS(SVG, name), attributes, children);
}

function furnish(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Write a text, if it is another. Browsers lay out again what is written, even the same. */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function mark(element, key, value) {
  if (value === null || value === false) element.removeAttribute(key);
  else if (element.getAttribute(key) !== String(value)) element.setAttribute(key, value);
}

/**
 * A text that users wrote: kept apart from the direction of what is around it, cut, and all of it to be seen. Lines may end
 * after the dots and lines of a name.
 */
function foreign(text, most = 120, { isOneLine = false, full = text } = {}) {
  const shown = visible(text, most);
  const parts = isOneLine ? shown : shown.split(/(?<=[._/])/).flatMap((part, at) => (at ? [h("wbr"), part] : [part]));
  const isCut = shown.endsWith("…") || full.length > text.length;
  return h("bdi", { title: isCut || text.length > 24 ? visible(full, 600) : null }, parts);
}

/** The tags of a series, as small labels. */
function tagList(pairs, most = 6) {
  const shown = pairs
    .slice(0, most)
    .map(([key, value]) =>
      h(
        "span",
        { class: "tag" },
        h("span", { class: "tag-key" }, foreign(key, 40)),
        h("span", { class: "tag-value" }, foreign(value, 60)),
      ),
    );
  if (pairs.length > most) shown.push(h("span", { class: "tag" }, `+${pairs.length - most}`));
  return h("span", { class: "tags" }, shown);
}

/** The tags of a series on one line, which ends where there is no more room. */
function tagLine(pairs) {
  const tags = pairs
    .slice(0, 8)
    .map(([key, value]) => [
      foreign(key, 40, { isOneLine: true }),
      "=",
      h("span", { class: "tag-value" }, foreign(value, 60, { isOneLine: true })),
      " ",
    ]);
  return h("span", { class: "tag-line", title: tagText(pairs, 200) }, tags);
}

/** The tags of a series, as one line of text. */
function tagText(pairs, most = 60) {
  return pairs.map(([key, value]) => `${visible(key, 40)}=${visible(value, most)}`).join(" ");
}

/** What is shown where there is nothing yet: what that means, and what to do. */
function emptyState(title, ...more) {
  return h(
    "div",
    { class: "empty" },
    h("p", { class: "empty-title" }, title),
    more.map((child) => h("p", {}, child)),
  );
}

function code(text) {
  return h("code", {}, text);
}

/** Name an icon of the page's own; they are decoration. */
function icon(path) {
  return s("svg", { viewBox: "0 0 16 16", class: "icon", "aria-hidden": "true" }, s("path", { d: path }));
}

const ICONS = {
  search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9M10.4 10.4 13.5 13.5",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  play: "M5 3.2v9.6l7.5-4.8z",
  sun: "M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6M8 1.2v1.4M8 13.4v1.4M1.2 8h1.4M13.4 8h1.4M3.2 3.2l1 1M11.8 11.8l1 1M3.2 12.8l1-1M11.8 4.2l1-1",
  moon: "M13 9.6A5.4 5.4 0 0 1 6.4 3 5.4 5.4 0 1 0 13 9.6z",
  auto: "M8 2.2a5.8 5.8 0 1 0 0 11.6A5.8 5.8 0 0 0 8 2.2M8 2.2v11.6M8.2 4.2h2.6M8.2 6.8h5M8.2 9.4h5M8.2 12h2.6",
  wall: "M1.8 3h12.4v8.2H1.8zM5.5 13.5h5",
  close: "M4 4l8 8M12 4l-8 8",
  chevron: "M6 3.8 10.2 8 6 12.2",
};
