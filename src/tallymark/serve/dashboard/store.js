// All that the page knows: the families of the feed, and the last hour of each series.

const LONGEST_STEP = 3.5; // readings, or seconds if that is longer: what is further apart has a gap between

class Store {
  constructor(most = MOST_NUMBERS) {
    this.axis = new Axis();
    this.columns = new Columns(this.axis, most);
    this.families = new Map(); // by name
    this.service = null;
    this.processes = [];
    this.every = 1;
    this.version = 0; // goes up when families or series come or go
    this.totals = new TotalSeries(this);
  }

  get time() {
    return this.axis.last;
  }

  get seriesCount() {
    let count = 0;
    for (const family of this.families.values()) count += family.count;
    return count;
  }

  /**
   * Take a document of the feed; `every` is how often the page asks, in seconds. Return false for a reading that is here already.
   *
   * Throws TypeError where the document is not what the feed sends.
   */
  take(told, every = told.every) {
    if (!Number.isFinite(told.time) || !Array.isArray(told.families)) throw new TypeError("this is no document of the feed");
    if (told.time === this.axis.last) return false;
    if (told.time < this.axis.last) this.forget(); // the clock was set back: the old points have no place before these
    this.every = Math.max(told.every || 1, every || 0);
    const passed = told.time - this.axis.last;
    const isKnown = passed <= LONGEST_STEP * Math.max(1, this.every);
    this._roll(told.time, isKnown ? passed : 0);
    if (told.service) this.service = told.service;
    if (told.processes) this.processes = told.processes;
    for (const family of told.families) this._family(family, isKnown);
    this._drop(told);
    this.totals.take();
    return true;
  }

  _roll(time, span) {
    const isNew = this.axis.advance(time, span);
    const coarse = isNew ? this.axis.coarse : -1;
    for (const family of this.families.values()) {
      for (const series of family.rows) if (series.columns.size) series.roll(this.axis.fine, coarse);
    }
    this.totals.roll(this.axis.fine, coarse);
  }

  _family(told, isKnown) {
    let family = this.families.get(told.name);
    if (told.series) {
      if (!family) this.families.set(told.name, (family = new Family(this, told.name)));
      family.describe(told, this.axis.last);
      this.version++;
    }
    if (!family) return;
    family.count = told.count ?? family.count;
    for (const row of told.rows) family.rows[row[0]]?.take(told.series ? row : family.completed(row), isKnown);
  }

  _drop(told) {
    const gone = new Set(told.gone ?? []);
    if (told.complete) {
      const told_ = new Set(told.families.map((family) => family.name));
      for (const name of this.families.keys()) if (!told_.has(name)) gone.add(name);
    }
    for (const name of gone) {
      this.families.get(name)?.release();
      this.families.delete(name);
      this.version++;
    }
  }

  /** Forget all points. What is known of the metrics stays. */
  forget() {
    this.axis.clear();
    for (const family of this.families.values()) for (const series of family.rows) series.release();
  }

  /** The points of a window that ends with the last reading, or at `end`. */
  window(seconds, end = this.axis.last) {
    return this.axis.window(seconds, end);
  }
}

/** The history of what the page counts itself: how many series there are. */
class TotalSeries {
  constructor(store) {
    this.store = store;
    this.counts = new Float32Array(POINTS);
  }

  roll(fine, coarse) {
    this._write(fine, coarse);
  }

  take() {
    this._write(this.store.axis.fine, this.store.axis.coarse);
  }

  _write(fine, coarse) {
    const count = this.store.seriesCount;
    this.counts[fine] = count;
    if (coarse >= 0) this.counts[coarse] = count;
  }
}

/** Return the increases of a column at some points. */
function increases(points, ...columns) {
  const sums = new Array(points.length).fill(0);
  for (const column of columns) {
    if (!column) continue;
    for (let position = 0; position < sums.length; position++) sums[position] += column[points.at[position]];
  }
  return sums;
}

/** Return how much a column gained over all points. */
function increase(points, column) {
  let sum = 0;
  if (column) for (const at of points.at) sum += column[at];
  return sum;
}

/** The columns that count what a series of any kind recorded. */
function countColumns(series) {
  const found = [];
  for (const [key, column] of series.columns) if (key !== "sum") found.push(column);
  return found;
}

/** How many things a counter, summary or histogram recorded over all points. */
function recorded(points, series) {
  let sum = 0;
  for (const column of countColumns(series)) sum += increase(points, column);
  return sum;
}

/** The values of a gauge at some points; NaN before it was. */
function levels(points, series) {
  const column = series.columns.get("value");
  return points.times.map((time, position) => {
    if (time < series.since) return NaN;
    return column ? column[points.at[position]] : series.value;
  });
}
