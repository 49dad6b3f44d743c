// Cardinality, rejected data, and processes.

/** Return how many values each tag of a family has. */
function valueCounts(family) {
  const values = new Map();
  for (const series of family.rows) {
    for (const [key, value] of series.tags) {
      if (!values.has(key)) values.set(key, new Set());
      values.get(key).add(value);
    }
  }
  return [...values].map(([key, distinct]) => ({ key, count: distinct.size }));
}

/** Return the tag of a family that has the most values, and how many: what to blame for its many series. */
function tagToBlame(family) {
  return valueCounts(family).reduce((most, tag) => (most && most.count >= tag.count ? most : tag), null);
}

/** Return the tags of a series, those by which it is told from most others first. */
function tellingTags(series) {
  const counts = new Map(valueCounts(series.family).map(({ key, count }) => [key, count]));
  return [...series.tags].sort(([a], [b]) => counts.get(b) - counts.get(a));
}

class Cardinality {
  constructor(store, plot) {
    this.store = store;
    this.blamed = new WeakMap(); // family -> {version, tag}
    this.table = new Table({
      caption: "Series of each metric",
      keyOf: (row) => row.family.name,
      sort: "series",
      onSelect: (row) => plot(row.family),
      columns: [
        {
          key: "metric",
          label: "Metric",
          value: (row) => row.family.name,
          make: ({ family }) =>
            h("button", { type: "button", class: "row-name", onclick: () => plot(family) }, foreign(family.name, 70)),
        },
        {
          key: "blame",
          label: "Most values",
          title: "the tag with the most values",
          value: (row) => row.tag?.count ?? 0,
          update: (cell, row) => this._blame(cell, row),
        },
        {
          key: "series",
          label: "Series",
          isNumber: true,
          value: (row) => row.count,
          make: (row, cell) => this._makeBar(cell),
          update: (cell, row) => this._bar(cell, row),
        },
      ],
    });
    this.table.most = 10;
    this.empty = emptyState("No metrics yet", h("span", {}, "Record one: ", code('tm.counter("jobs").inc()')));
    this.element = h("div", {}, this.empty, this.table.element);
  }

  _blame(cell, { family, tag }) {
    const least = family.isCut ? "at least " : ""; // what the feed leaves out may have more
    const text = tag ? `${tag.key} ${least}${tag.count}` : "";
    if (cell.dataset.shown === text) return;
    cell.dataset.shown = text;
    cell.replaceChildren(
      ...(tag
        ? [
            foreign(tag.key, 30),
            h("span", { class: "quiet" }, ` ${least}${whole(tag.count)} value${tag.count === 1 ? "" : "s"}`),
          ]
        : [h("span", { class: "quiet" }, "no tags")]),
    );
  }

  _makeBar(cell) {
    cell.text = h("span", { class: "cell-number" });
    cell.filled = h("span", { class: "bar-filled" });
    return h("span", { class: "cell-bar" }, cell.text, h("span", { class: "bar", "aria-hidden": "true" }, cell.filled));
  }

  _bar(cell, { family, count }) {
    const part = family.limit ? count / family.limit : 0;
    write(cell.text, family.limit ? `${whole(count)} of ${whole(family.limit)}` : whole(count));
    cell.filled.parentNode.hidden = !family.limit;
    cell.filled.style.width = `${Math.min(100, 100 * part)}%`;
    mark(cell.parentNode, "data-alarm", part >= 1 ? "bad" : part >= 0.8 ? "warn" : null);
  }

  draw() {
    const rows = [...this.store.families.values()].map((family) => ({
      family,
      count: family.count,
      tag: this._tag(family),
    }));
    this.empty.hidden = rows.length > 0;
    this.table.element.hidden = !rows.length;
    this.table.draw(rows);
  }

  _tag(family) {
    const known = this.blamed.get(family);
    if (known?.version === family.version) return known.tag;
    const tag = tagToBlame(family);
    this.blamed.set(family, { version: family.version, tag });
    return tag;
  }
}

class Rejected {
  constructor(store) {
    this.store = store;
    this.table = new Table({
      caption: "Rejected data",
      keyOf: (row) => row.series.key,
      sort: "count",
      columns: [
        { key: "metric", label: "Metric and reason", value: (row) => row.metric, make: (row) => this._about(row) },
        { key: "count", label: "In window", isNumber: true, value: (row) => row.count, text: (row) => whole(row.count) },
        { key: "total", label: "Total", isNumber: true, value: (row) => row.total, text: (row) => whole(row.total) },
      ],
    });
    this.empty = emptyState(
      "Nothing was rejected",
      "Bad numbers, values that are too long and series beyond a limit are counted here.",
    );
    this.element = h("div", {}, this.empty, this.table.element);
  }

  _about({ metric, reason }) {
    const unknown = ["The record was rejected or redirected.", "The log of the service has the first case."];
    const [meaning, remedy] = REASONS.get(reason) ?? unknown;
    const what = h(
      "span",
      { class: "rejected-what" },
      foreign(metric, 70),
      " ",
      h("span", { class: "reason" }, foreign(reason, 40)),
    );
    return [what, h("span", { class: "meaning" }, meaning, " "), h("span", { class: "remedy" }, remedy)];
  }

  draw(points) {
    const all = this.store.families.get("tallymark_rejected")?.rows ?? [];
    const rows = all
      .filter((series) => series.value > 0)
      .map((series) => ({
        series,
        metric: series.tag("metric") ?? "",
        reason: series.tag("reason") ?? "",
        count: recorded(points, series),
        total: series.value,
      }));
    this.empty.hidden = rows.length > 0;
    this.table.element.hidden = !rows.length;
    this.table.draw(rows);
  }
}

class Processes {
  constructor(store) {
    this.store = store;
    this.before = new Map(); // pid -> [time, CPU seconds]
    this.table = new Table({
      caption: "Processes",
      keyOf: (row) => String(row.pid),
      sort: "pid",
      isDescending: false,
      columns: [
        { key: "pid", label: "PID", value: (row) => row.pid, text: (row) => String(row.pid) },
        { key: "uptime", label: "Uptime", isNumber: true, value: (row) => row.uptime, text: (row) => age(row.uptime) },
        {
          key: "cpu",
          label: "CPU",
          isNumber: true,
          title: "of one core, since the reading before",
          value: (row) => row.load,
          text: (row) => percent(row.load),
        },
        {
          key: "memory",
          label: "Memory",
          isNumber: true,
          title: "resident set",
          value: (row) => row.rss,
          text: (row) => bytes(row.rss),
        },
      ],
    });
    this.empty = emptyState("No process is known", "The first reading names them.");
    this.element = h("div", {}, this.empty, this.table.element);
    this.loads = new Map();
  }

  /** Take what a document tells of processes: how busy each was since the one before. */
  take(time, processes) {
    const known = new Map();
    for (const { pid, cpu } of processes) {
      const [then, spent] = this.before.get(pid) ?? [NaN, NaN];
      const load = cpu === null ? NaN : (cpu - spent) / (time - then);
      this.loads.set(pid, load >= 0 ? load : NaN);
      known.set(pid, [time, cpu ?? NaN]);
    }
    this.before = known;
    for (const pid of this.loads.keys()) if (!known.has(pid)) this.loads.delete(pid);
  }

  draw() {
    const rows = this.store.processes.map(({ pid, started, rss }) => ({
      pid,
      uptime: started === null ? NaN : this.store.time - started,
      load: this.loads.get(pid),
      rss: rss ?? NaN,
    }));
    this.empty.hidden = rows.length > 0;
    this.table.element.hidden = !rows.length;
    this.table.draw(rows);
  }
}
