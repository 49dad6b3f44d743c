// The series that changed most: the newer half of the window beside the older one.

const MOST_CHANGES = 8;

/**
 * How unlikely a change is, were nothing different: for counts, their difference in units of its own spread (that of Poisson);
 * for values, ten times the relative difference. So a busy series is not first for its size, nor a rare one for its chance.
 */
function changeOf(series, before, after) {
  if (series.family.isLevel) return levelChange(series, before, after);
  const [old, now] = [recorded(before, series), recorded(after, series)];
  if (!old && !now) return null;
  const [oldRate, nowRate] = [old / before.covered, now / after.covered];
  const spread = Math.sqrt(old / before.covered ** 2 + now / after.covered ** 2);
  return { series, old: oldRate, now: nowRate, score: Math.abs(nowRate - oldRate) / spread };
}

function levelChange(series, before, after) {
  if (!series.columns.size) return null;
  const [old, now] = [mean(levels(before, series)), mean(levels(after, series))];
  const size = Math.max(Math.abs(old), Math.abs(now));
  const score = (10 * Math.abs(now - old)) / size;
  return score > 0.1 ? { series, old, now, score } : null;
}

function mean(values) {
  const known = values.filter(Number.isFinite);
  return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : NaN;
}

/** The change in words: ×3.1, +12 %, new, stopped. */
function changeText({ old, now }) {
  if (!old) return "new";
  if (!now) return "stopped";
  const ratio = now / old;
  if (ratio >= 2) return `×${digits(ratio)}`;
  if (ratio > 0 && ratio <= 0.5) return `÷${digits(1 / ratio)}`;
  return `${ratio < 1 ? "−" : "+"}${percent(Math.abs(ratio - 1))}`;
}

class Changes {
  constructor(store, plot) {
    this.store = store;
    this.table = new Table({
      caption: "Series that changed most",
      keyOf: (row) => `${row.series.family.name} ${row.series.key}`,
      sort: "change",
      onSelect: (row) => plot(row.series.family, row.series),
      columns: [
        {
          key: "series",
          label: "Series",
          make: (row, cell) => this._name(row, cell, plot),
          update: (cell, row) => this._alike(cell, row),
        },
        {
          key: "spark",
          label: "Trend",
          make: (row, cell) => (cell.spark = new Sparkline()).element,
          update: (cell, row) => this._draw(cell, row),
        },
        {
          key: "now",
          label: "Now",
          isNumber: true,
          value: (row) => row.now,
          text: (row) => formatOf(row.series.family)(row.now),
        },
        {
          key: "change",
          label: "Change",
          isNumber: true,
          title: "newer half of the window against the older one; the most significant first",
          value: (row) => row.score,
          make: () => h("span", { class: "change" }),
          update: (cell, row) => this._change(cell, row),
        },
      ],
    });
    this.empty = emptyState("Nothing changed", "What becomes more, less, new or silent within the window is shown here.");
    this.element = h("div", {}, this.empty, this.table.element);
  }

  _name({ series }, cell, plot) {
    const name = h(
      "button",
      { type: "button", class: "row-name", onclick: () => plot(series.family, series) },
      foreign(series.family.name, 70),
    );
    cell.alike = h("span", { class: "alike" });
    return [name, cell.alike, tagLine(tellingTags(series))];
  }

  _alike(cell, { alike }) {
    write(cell.alike, alike.length ? `and ${whole(alike.length)} alike` : "");
    mark(cell.alike, "title", alike.length ? alike.map((name) => visible(name, 70)).join("\n") : null);
  }

  _draw(cell, { series }) {
    const values = series.family.isLevel ? levels(this.points, series) : rateLine(this.points, [series]);
    cell.spark.draw(this.points, values, !series.family.isLevel);
  }

  _change(cell, row) {
    write(cell.firstChild, changeText(row));
    mark(cell.firstChild, "data-way", row.now > row.old ? "up" : "down");
  }

  draw(points) {
    this.points = points;
    const middle = Math.floor(points.length / 2);
    const rows = middle < 5 ? [] : this._rows(points.slice(0, middle), points.slice(middle, points.length));
    this.empty.hidden = rows.length > 0;
    this.table.element.hidden = !rows.length;
    this.table.draw(rows);
  }

  _rows(before, after) {
    const found = [];
    for (const family of this.store.families.values()) {
      for (const series of family.rows) {
        const change = series.columns.size && before.covered && after.covered && changeOf(series, before, after);
        if (change && change.score > 2) found.push(change);
      }
    }
    return apart(found.sort((a, b) => b.score - a.score || isTime(b) - isTime(a))).slice(0, MOST_CHANGES);
  }
}

function isTime({ series }) {
  return Number(series.family.kind === "timer");
}

/**
 * Leave out what changed just as another one with the same tags, as the duration and the sizes of the same requests do; the first
 * of them knows the names of the others.
 */
function apart(changes) {
  const firsts = new Map();
  for (const change of changes) {
    const { series, old, now } = change;
    const key = series.family.isLevel ? `${series.family.name} ${series.key}` : `${old} ${now} ${series.key}`;
    const first = firsts.get(key);
    if (first) first.alike.push(series.family.name);
    else firsts.set(key, { ...change, alike: [] });
  }
  return [...firsts.values()];
}

/** How a family's line is written: a counter's gain per second, a gauge's value, a histogram's records per second. */
function formatOf(family) {
  if (family.isLevel) return inUnit(family.unit);
  return family.type === "sum" ? inUnitPerSecond(family.unit) : perSecond;
}
