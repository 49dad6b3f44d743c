// The search over all metrics and tags, and what it found drawn.

const MOST_FOUND = 60;
const MOST_LINES = 8; // in one chart

/** Return the families and series whose name, tags or description hold all words, those with fewest other letters first. */
function find(store, query, most = MOST_FOUND) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const found = [];
  for (const family of store.families.values()) {
    const about = `${family.name} ${family.exposed} ${family.description}`.toLowerCase();
    if (words.every((word) => about.includes(word))) found.push({ family, series: null, rank: family.name.length });
    if (!words.length || (family.rows.length < 2 && !family.rows[0]?.tags.length)) continue;
    let count = 0;
    for (const series of family.rows) {
      series.text ??=
        `${family.name} ${family.exposed} ${series.tags.map(([key, value]) => `${key}=${value.slice(0, 200)}`).join(" ")}`.toLowerCase();
      if (words.every((word) => series.text.includes(word)) && ++count <= most)
        found.push({ family, series, rank: 1000 + series.text.length });
    }
  }
  return found.sort((a, b) => a.rank - b.rank || (a.family.name < b.family.name ? -1 : 1)).slice(0, most);
}

/** A dialog with a field and a list: arrows choose, Enter draws, Shift+Enter draws and stays. */
class Search {
  constructor(store, plot) {
    Object.assign(this, { store, plot, found: [], at: 0 });
    this.input = h("input", {
      type: "text",
      class: "search-input",
      role: "combobox",
      "aria-expanded": "true",
      "aria-controls": "found",
      "aria-autocomplete": "list",
      "aria-label": "Search metrics and tags",
      placeholder: "Metric, tag or value…",
      autocomplete: "off",
      spellcheck: "false",
      oninput: () => this.update(),
      onkeydown: (event) => this._key(event),
    });
    this.list = h("ul", { id: "found", role: "listbox", class: "found", "aria-label": "Metrics and series" });
    this.count = h("p", { class: "search-count", role: "status" });
    const hints = h(
      "p",
      { class: "search-keys" },
      h("kbd", {}, "↑↓"),
      " choose ",
      h("kbd", {}, "Enter"),
      " plot ",
      h("kbd", {}, "Shift Enter"),
      " plot more ",
      h("kbd", {}, "Esc"),
      " close",
    );
    const field = h("div", { class: "search-field" }, icon(ICONS.search), this.input);
    this.element = h(
      "dialog",
      { class: "search", "aria-label": "Search" },
      field,
      this.list,
      h("div", { class: "search-foot" }, this.count, hints),
    );
    this.element.addEventListener("click", (event) => event.target === this.element && this._close());
  }

  open() {
    if (this.element.open) return;
    this.element.showModal();
    this.input.select();
    this.update();
  }

  /** Close at once, and let go of the keys: else the next one is taken for text until the browser has moved the focus. */
  _close() {
    this.input.blur();
    this.element.close();
  }

  update() {
    this.found = find(this.store, this.input.value);
    this.at = 0;
    this.list.replaceChildren(...this.found.map((one, at) => this._item(one, at)));
    const many = this.found.length >= MOST_FOUND ? `first ${MOST_FOUND}` : whole(this.found.length);
    write(
      this.count,
      this.found.length ? `${many} found` : this.store.families.size ? "nothing has all these words" : "nothing recorded yet",
    );
    this._choose(0);
  }

  _item({ family, series }, at) {
    const many = family.count;
    const about = series
      ? tagList(series.tags, 6)
      : h(
          "span",
          { class: "quiet" },
          `${family.kind} · ${whole(many)} series${family.description ? " · " : ""}`,
          family.description ? foreign(family.description, 90) : null,
        );
    const attributes = {
      role: "option",
      id: `found-${at}`,
      class: "found-item",
      onclick: (event) => this._take(at, event.shiftKey),
      onpointermove: () => this._choose(at),
    };
    return h("li", attributes, h("span", { class: "found-name" }, foreign(family.name, 80)), about);
  }

  _choose(at) {
    this.list.children[this.at]?.setAttribute("aria-selected", "false");
    this.at = Math.max(0, Math.min(this.found.length - 1, at));
    const item = this.list.children[this.at];
    item?.setAttribute("aria-selected", "true");
    mark(this.input, "aria-activedescendant", item ? item.id : null);
    return item;
  }

  _key(event) {
    const moves = { ArrowDown: this.at + 1, ArrowUp: this.at - 1, PageDown: this.at + 8, PageUp: this.at - 8 };
    if (event.key in moves) this._choose(moves[event.key])?.scrollIntoView({ block: "nearest" });
    else if (event.key === "Escape") this._close();
    else if (event.key === "Enter") this._take(this.at, event.shiftKey);
    else return;
    event.preventDefault();
  }

  _take(at, isMore) {
    const chosen = this.found[at];
    if (!chosen) return;
    if (!isMore) this._close();
    this.plot(chosen.family, chosen.series, !isMore);
  }
}

/** The charts of one metric, or of one of its series. */
class PlotCard {
  constructor(family, series, onClose) {
    this.name = family.name;
    this.key = series?.key ?? null;
    const format = inUnit(family.unit);
    this.charts = family.isDistribution
      ? [new Chart("Latency", { format }), new Chart("Rate", { format: perSecond, isFilled: true })]
      : [new Chart(family.isLevel ? "Value" : "Rate", { format: formatOf(family), fromZero: !family.isLevel })];
    if (family.isDistribution && family.kind !== "timer")
      this.charts[0].element.querySelector(".chart-title").textContent = "Quantiles";
    const close = h(
      "button",
      { type: "button", class: "icon-button", "aria-label": `Close ${visible(family.name, 60)}`, onclick: onClose },
      icon(ICONS.close),
    );
    this.note = h("p", { class: "plot-note" });
    const about = series
      ? tagList(series.tags, 8)
      : h("span", { class: "quiet" }, foreign(family.description || family.kind, 120));
    const title = h("h3", { tabindex: -1 }, foreign(family.name, 80));
    this.title = title;
    this.element = h(
      "article",
      { class: "card plot-card" },
      h("header", {}, h("div", {}, title, about), close),
      h(
        "div",
        { class: "charts" },
        this.charts.map((chart) => chart.element),
      ),
      this.note,
    );
  }

  draw(store, points) {
    const family = store.families.get(this.name);
    const all = family ? (this.key === null ? family.rows : family.rows.filter((series) => series.key === this.key)) : [];
    if (!all.length) {
      write(this.note, "This metric is no longer there.");
      return;
    }
    if (family.isDistribution) this._drawDistribution(points, all);
    else this._drawLines(points, all, family);
  }

  _drawDistribution(points, all) {
    const lines = quantileLines(points, all, QUANTILES);
    this.charts[0].draw(
      points,
      lines.map((values, at) => ({ name: ["p50", "p95", "p99"][at], tone: `q${at}`, values })),
    );
    this.charts[1].draw(points, [{ name: "rate", tone: "accent", values: rateLine(points, all) }]);
    const isCut = this.key === null && all[0].family.isCut;
    write(
      this.note,
      isCut ? `Together: ${toldOf(all[0].family)}.` : all.length > 1 ? `All ${whole(all.length)} series together.` : "",
    );
  }

  _drawLines(points, all, family) {
    const size = family.isLevel ? (series) => Math.abs(series.value) || 0 : (series) => recorded(points, series);
    const shown = all.length > MOST_LINES ? [...all].sort((a, b) => size(b) - size(a)).slice(0, MOST_LINES) : all;
    shown.sort((a, b) => (a.key < b.key ? -1 : 1));
    const lines = shown.map((series, at) => ({
      name: series.tags.length ? tagText(series.tags, 24) : this.charts[0].title.toLowerCase(),
      label: () => (series.tags.length ? tagList(series.tags, 4) : foreign(this.name)),
      tone: `s${at + 1}`,
      values: family.isLevel ? levels(points, series) : rateLine(points, [series]),
    }));
    this.charts[0].draw(points, lines);
    write(
      this.note,
      all.length > MOST_LINES
        ? `The ${MOST_LINES} largest of ${whole(all.length)} series. Search for a tag to plot another.`
        : "",
    );
  }

  close() {
    for (const chart of this.charts) chart.close();
    this.element.remove();
  }
}

/** All that somebody chose to see. */
class Plots {
  constructor(store, openSearch) {
    this.store = store;
    this.cards = [];
    this.empty = emptyState(
      "Plot anything",
      h("span", {}, "Press ", h("kbd", {}, "/"), " and choose metrics or series; several at once."),
      h("button", { type: "button", class: "button", onclick: openSearch }, icon(ICONS.search), "Search metrics and tags"),
    );
    this.grid = h("div", { class: "plot-grid" });
    this.element = h("div", {}, this.empty, this.grid);
  }

  /** Draw a family, or one of its series, and go there. */
  add(family, series = null, isFocused = true) {
    const key = series?.key ?? null;
    let card = this.cards.find((one) => one.name === family.name && one.key === key);
    if (!card) {
      card = new PlotCard(family, series, () => this.remove(card));
      this.cards.push(card);
      this.grid.append(card.element);
    }
    if (this.points) this.draw(this.points);
    if (isFocused) card.title.focus();
  }

  remove(card) {
    const at = this.cards.indexOf(card);
    this.cards.splice(at, 1);
    card.close();
    this.draw(this.points);
    const next = this.cards[Math.min(at, this.cards.length - 1)];
    (next?.title ?? this.empty.querySelector("button")).focus();
  }

  draw(points) {
    this.points = points;
    this.empty.hidden = this.cards.length > 0;
    for (const card of this.cards) card.draw(this.store, points);
  }
}
