// How many took how long, and when: a column for each slice of time, a row for each bucket.

const MOST_SLICES = 60;
const MOST_ROWS = 28;

class HeatMap extends Plot {
  constructor(title, format) {
    super(title);
    this.format = format;
    this.row = null; // that is pointed at
    this.canvas = h("canvas", { class: "heat", "aria-hidden": "true" });
    this.area.prepend(this.canvas);
    this.readout = h("li", {});
    this.legend.append(this.readout);
  }

  draw(points, seriesList) {
    this.points = points;
    this.seriesList = seriesList;
    if (this.isShown) this.redraw();
  }

  redraw() {
    this._count();
    this.grid.replaceChildren();
    this._drawRows();
    this.drawTimes();
    this._paint();
    this.drawCursor();
  }

  /** Count what each cell holds. Exponential buckets are merged until they can be told apart by eye. */
  _count() {
    this.slices = Math.max(1, Math.min(MOST_SLICES, Math.round(this.points.seconds / (2 * this.points.meanSpan))));
    const slices = Array.from({ length: this.slices }, () => emptyBuckets(this.seriesList));
    this.points.at.forEach((at, position) => {
      fill(slices[this._slice(position)], this.seriesList, at);
    });
    for (let halvings = 0; ; halvings++) {
      this._fillCells(slices, halvings);
      if (this.rows.length <= MOST_ROWS || this.seriesList[0].family.type === "histogram") break;
    }
    this.most = Math.max(1, ...this.cells.values());
  }

  _fillCells(slices, halvings) {
    const bounds = new Map(); // by lower bound
    const found = [];
    slices.forEach((buckets, slice) => {
      for (const [lower, upper, count] of merged(buckets, halvings)) {
        if (count) {
          bounds.set(lower, upper);
          found.push([slice, lower, count]);
        }
      }
    });
    this.rows = between(
      [...bounds].sort(([a], [b]) => a - b),
      this.seriesList[0].family,
    );
    const index = new Map(this.rows.map(([lower], row) => [lower, row]));
    this.cells = new Map(found.map(([slice, lower, count]) => [index.get(lower) * this.slices + slice, count]));
  }

  get rowHeight() {
    return (this.height - TOP - BOTTOM) / Math.max(1, this.rows.length);
  }

  _drawRows() {
    const every = Math.ceil(16 / this.rowHeight);
    const isTold = ([, upper], row) => row % every === 0 && Number.isFinite(upper);
    this.fit(this.rows.filter(isTold).map(([, upper]) => this.format(upper)));
    this.rows.forEach(([lower, upper], row) => {
      if (!isTold([lower, upper], row)) return;
      const y = Math.round(this.height - BOTTOM - (row + 1) * this.rowHeight) + 0.5;
      this.grid.append(s("text", { class: "tick tick-y", x: this.left - 8, y: y + 3.5 }, this.format(upper)));
    });
  }

  _paint() {
    const ratio = (window.devicePixelRatio || 1) * this.scale;
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    const context = this.canvas.getContext("2d");
    context.scale(ratio, ratio);
    context.fillStyle = getComputedStyle(this.canvas).color;
    const width = (this.width - this.left - RIGHT) / this.slices;
    const gap = this.rowHeight > 6 ? 1 : 0;
    for (const [cell, count] of this.cells) {
      const row = Math.floor(cell / this.slices);
      context.globalAlpha = 0.1 + 0.9 * Math.sqrt(count / this.most);
      const y = this.height - BOTTOM - (row + 1) * this.rowHeight;
      context.fillRect(
        this.left + (cell % this.slices) * width,
        y + gap / 2,
        Math.max(0.5, width - 1),
        Math.max(0.5, this.rowHeight - gap),
      );
    }
  }

  point(event) {
    const y = (event.clientY - this.area.getBoundingClientRect().top) / this.scale;
    this.row = Math.floor((this.height - BOTTOM - y) / this.rowHeight);
    super.point(event);
    this.drawCursor();
  }

  key(event) {
    const move = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (!move) return super.key(event);
    this.row = Math.min(this.rows.length - 1, Math.max(0, (this.row ?? -1) + move));
    if (cursor.time === null) cursor.set(this.points.times[this.points.length - 1]);
    this.drawCursor();
    event.preventDefault();
  }

  drawCursor() {
    if (!this.points) return;
    super.drawCursor();
    write(this.readout, this.pointed === null ? this._busiest() : this.describe(this.pointed));
  }

  _slice(at) {
    const slice = Math.ceil(((this.points.times[at] - this.points.begin) / this.points.seconds) * this.slices) - 1;
    return Math.min(this.slices - 1, Math.max(0, slice));
  }

  describe(at) {
    if (at === null) return this._busiest();
    const slice = this._slice(at);
    const counts = this.rows.map((_, row) => this.cells.get(row * this.slices + slice) ?? 0);
    const total = counts.reduce((sum, count) => sum + count, 0);
    const row = this.rows[this.row];
    if (!row)
      return `${whole(total)} recorded, the most of them ${this._range(this.rows[counts.indexOf(Math.max(...counts))] ?? [0, 0])}`;
    const part = total ? ` (${percent(counts[this.row] / total)})` : "";
    return `${this._range(row)}: ${whole(counts[this.row])} of ${whole(total)}${part}`;
  }

  _range([lower, upper]) {
    if (!Number.isFinite(lower)) return `up to ${this.format(upper)}`;
    return Number.isFinite(upper) ? `${this.format(lower)} to ${this.format(upper)}` : `above ${this.format(lower)}`;
  }

  _busiest() {
    const sums = this.rows.map((_, row) => {
      let sum = 0;
      for (let slice = 0; slice < this.slices; slice++) sum += this.cells.get(row * this.slices + slice) ?? 0;
      return sum;
    });
    const total = sums.reduce((sum, count) => sum + count, 0);
    if (!total) return "nothing recorded in this window";
    const most = sums.indexOf(Math.max(...sums));
    return `mostly ${this._range(this.rows[most])}: ${percent(sums[most] / total)} of ${whole(total)}`;
  }
}

function merged(buckets, halvings) {
  if (!halvings) return buckets.list();
  const coarser = new ExponentialBuckets(buckets.scale - halvings);
  coarser.zero = buckets.zero;
  for (const sign of ["positive", "negative"]) {
    for (const [index, count] of buckets[sign]) {
      coarser[sign].set(index >> halvings, (coarser[sign].get(index >> halvings) ?? 0) + count);
    }
  }
  return coarser.list();
}

/** Add the empty rows of a family's own buckets between those that are not empty. */
function between(rows, family) {
  if (family.type !== "histogram" || rows.length < 2) return rows;
  const all = [-Infinity, ...family.bounds].map((lower, index) => [lower, family.bounds[index] ?? Infinity]);
  const [first, last] = [rows[0][0], rows[rows.length - 1][0]];
  return all.filter(([lower]) => lower >= first && lower <= last);
}
