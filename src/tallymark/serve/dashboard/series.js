// Families, their series, and what is kept of each: increases, not totals, so that a restart never looks like a fall.

const MOST_NUMBERS = 32e6; // of all columns together: 128 MB. What comes later has its newest value, and no history.

/** Hands out columns: arrays with a number for each point of the axis. */
class Columns {
  constructor(axis, most = MOST_NUMBERS) {
    this.axis = axis;
    this.most = most;
    this.held = 0;
    this.missing = 0; // columns that there was no room for
  }

  make(filling) {
    if (this.held + POINTS > this.most) {
      this.missing++;
      return null;
    }
    this.held += POINTS;
    return new Float32Array(POINTS).fill(filling);
  }

  release(count) {
    this.held -= count * POINTS;
  }
}

/** Numbers as the feed writes them: null is no number, infinities are texts. */
function parsed(value) {
  if (typeof value === "number") return value;
  if (value === "+Inf") return Infinity;
  if (value === "-Inf") return -Infinity;
  return NaN;
}

/** What a total gained. One that is lower than before began anew, with its process. */
function gained(before, now) {
  const increase = now >= before ? now - before : now;
  return Number.isFinite(increase) && increase > 0 ? increase : 0;
}

class Series {
  constructor(family, tags, time) {
    this.family = family;
    this.tags = tags; // [[key, value], …]
    this.since = time;
    this.columns = new Map(); // of increases by key, or of values under "value"
    this.row = null; // the newest, as it came
    this.text = null; // for the search; made when it is first asked for
  }

  get key() {
    return JSON.stringify(this.tags);
  }

  /** Return the value of a tag, whose key may be written with dots or underscores. */
  tag(key) {
    return this.tags.find(([name]) => name.replaceAll(".", "_") === key)?.[1];
  }

  get value() {
    return this.row === null ? NaN : parsed(this.row[1]);
  }

  /** Take a new row. Where `isKnown` is false, nothing is known of the time before, and nothing is gained. */
  take(row, isKnown) {
    const before = this.row;
    this.row = row;
    if (this.family.isLevel) this._level(before);
    else if (isKnown) this._gain(before, row);
  }

  _level(before) {
    const value = this.value;
    const old = before === null ? value : parsed(before[1]);
    if (before !== null && !this.columns.has("value") && !Object.is(value, old)) this._column("value", old);
    this._put("value", value);
  }

  _put(key, value) {
    const column = this.columns.get(key);
    if (!column) return;
    column[this.family.axis.fine] = value;
    column[this.family.axis.coarse] = value;
  }

  _column(key, filling = 0) {
    let column = this.columns.get(key);
    if (!column && (column = this.family.columns.make(filling))) this.columns.set(key, column);
    return column;
  }

  _gain(before, row) {
    switch (this.family.type) {
      case "sum":
        return this._add("value", gained(before ? parsed(before[1]) : 0, parsed(row[1])));
      case "summary":
        this._add("count", gained(before ? before[1] : 0, row[1]));
        return this._addSum(before, row, before && row[1] < before[1]);
      case "histogram":
        return this._gainBuckets(before, row);
      case "exponential":
        return this._gainExponential(before, row);
    }
  }

  _gainBuckets(before, row) {
    const isReset = before !== null && (row[1] < before[1] || row.some((count, at) => at > 2 && count < before[at]));
    const base = isReset ? null : before;
    for (let at = 3; at < row.length; at++) this._add(at - 3, row[at] - (base ? base[at] : 0));
    this._addSum(before, row, isReset);
  }

  _gainExponential(before, row) {
    const isReset = before !== null && (row[1] < before[1] || row[3] > before[3] || row[4] < before[4]);
    const base = isReset ? null : before;
    const scale = row[3];
    if (before !== null && before[3] !== scale) this._rescale(before[3] - scale);
    this._add("zero", row[4] - (base ? base[4] : 0));
    for (const [sign, at] of [
      ["p", 5],
      ["n", 6],
    ]) {
      const old = base ? counts(base[at], base[3] - scale) : new Map();
      for (const [index, count] of counts(row[at], 0)) this._add(sign + index, count - (old.get(index) ?? 0));
    }
    this._addSum(before, row, isReset);
  }

  /** Merge the columns of buckets that became one; where scales went up again, the old ones say nothing of the new. */
  _rescale(halvings) {
    const old = [...this.columns].filter(([key]) => /^[pn]/.test(key));
    for (const [key, column] of old) {
      this.columns.delete(key);
      if (halvings < 0) {
        this.family.columns.release(1);
        continue;
      }
      const merged = key[0] + (Number(key.slice(1)) >> halvings);
      const other = this.columns.get(merged);
      if (!other) this.columns.set(merged, column);
      else {
        for (let at = 0; at < POINTS; at++) other[at] += column[at];
        this.family.columns.release(1);
      }
    }
  }

  _addSum(before, row, isReset) {
    const increase = parsed(row[2]) - (before && !isReset ? parsed(before[2]) : 0);
    if (Number.isFinite(increase)) this._add("sum", increase);
  }

  _add(key, increase) {
    if (!increase || (key !== "sum" && increase < 0)) return;
    const column = this._column(key);
    if (!column) return;
    column[this.family.axis.fine] += increase;
    column[this.family.axis.coarse] += increase;
  }

  /** Begin a point: nothing gained yet, the same value as before. */
  roll(fine, coarse) {
    for (const [key, column] of this.columns) {
      const filling = key === "value" && this.family.isLevel ? this.value : 0;
      column[fine] = filling;
      if (coarse >= 0) column[coarse] = filling;
    }
  }

  release() {
    this.family.columns.release(this.columns.size);
    this.columns.clear();
  }
}

/** Return the counts of exponential buckets by index, after some halvings of their number. */
function counts([offset, list], halvings) {
  const found = new Map();
  list.forEach((count, at) => {
    if (!count) return;
    const index = (offset + at) >> halvings;
    found.set(index, (found.get(index) ?? 0) + count);
  });
  return found;
}

class Family {
  constructor(store, name) {
    this.axis = store.axis;
    this.columns = store.columns;
    this.name = name;
    this.version = 0; // goes up when series come or go
    this.count = 0; // of all series, told or left out
    this.rows = []; // the series, at the index by which the feed names them
    this.byKey = new Map();
  }

  /** Take what the feed tells of the family itself. A family of another type begins anew. */
  describe(told, time) {
    if (this.type !== undefined && (this.type !== told.type || String(this.bounds) !== String(told.bounds))) this.release();
    Object.assign(this, {
      exposed: told.exposed,
      kind: told.kind,
      type: told.type,
      isLevel: !(
        ["histogram", "exponential", "summary"].includes(told.type) ||
        (told.type === "sum" && told.monotonic !== false)
      ),
      isDistribution: told.type === "histogram" || told.type === "exponential",
      unit: told.unit ?? "",
      description: told.description ?? "",
      bounds: told.bounds,
      limit: told.limit ?? null,
    });
    this.base = withoutUnit(this.exposed.replaceAll(".", "_"), this.unit);
    this._list(told.series, time);
    this.count = told.count ?? this.rows.length;
  }

  /** Return a row that changed with all that it has: of a histogram, only the buckets that changed are told, each with its index. */
  completed(row) {
    if (this.type !== "histogram") return row;
    const all = this.rows[row[0]]?.row?.slice() ?? new Array(this.bounds.length + 4).fill(0);
    [all[0], all[1], all[2]] = row;
    for (let at = 3; at + 1 < row.length; at += 2) all[3 + row[at]] = row[at + 1];
    return all;
  }

  /** True if there are so many series that the feed leaves some out. */
  get isCut() {
    return this.count > this.rows.length;
  }

  _list(listed, time) {
    const before = this.byKey;
    this.byKey = new Map();
    this.rows = listed.map((tags) => {
      const pairs = Object.entries(tags);
      const key = JSON.stringify(pairs);
      const series = before.get(key) ?? new Series(this, pairs, time);
      before.delete(key);
      this.byKey.set(key, series);
      return series;
    });
    for (const gone of before.values()) gone.release();
    this.version++;
  }

  release() {
    for (const series of this.byKey.values()) series.release();
    this.byKey = new Map();
    this.rows = [];
  }
}

/** How much of a family the feed tells, in words. */
function toldOf(family) {
  return `only ${whole(family.rows.length)} of ${whole(family.count)} series are told`;
}

/** The name as in Prometheus, without the unit that ends it. */
function withoutUnit(exposed, unit) {
  const ending = `_${unit}`;
  const name = exposed.replace(/_total$/, "");
  return unit && name.endsWith(ending) ? name.slice(0, -ending.length) : name;
}
