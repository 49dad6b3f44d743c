// The frame of every chart: title, legend, axes, and the cross-hair, which is at the same time in all charts.

/** The time that somebody points at; null where nobody does. */
class Cursor {
  constructor() {
    this.time = null;
    this.watchers = new Set();
  }

  set(time) {
    if (time === this.time) return;
    this.time = time;
    for (const watcher of this.watchers) watcher();
  }
}

const cursor = new Cursor();
const resizes = new ResizeObserver((entries) => {
  requestAnimationFrame(() => {
    for (const entry of entries) entry.target.plot?.resize();
  });
});

const LEAST_LEFT = 54; // so that most charts begin at the same place
const RIGHT = 10;
const TOP = 10;
const BOTTOM = 20;
const TICK_SIZE = 10.5; // of type, as in the style

class Plot {
  constructor(title) {
    this.title = title;
    this.points = null;
    this.width = 0;
    this.left = LEAST_LEFT;
    this.legend = h("ul", { class: "legend" });
    this.clock = h("span", { class: "chart-clock" });
    this.grid = s("g", { class: "grid" });
    this.marks = s("g", { class: "marks" });
    this.over = s("g", { class: "over" });
    this.svg = s("svg", { class: "plot-svg", "aria-hidden": "true" }, this.grid, this.marks, this.over);
    this.area = h("div", { class: "plot", tabindex: 0, role: "slider", "aria-label": `${title}: chart` }, this.svg);
    this.element = h(
      "figure",
      { class: "chart" },
      h("figcaption", {}, h("span", { class: "chart-title" }, title), this.clock),
      this.area,
      this.legend,
    );
    this.area.plot = this;
    this._watch();
  }

  _watch() {
    this.area.addEventListener("pointermove", (event) => this.point(event));
    this.area.addEventListener("pointerdown", (event) => this.point(event));
    this.area.addEventListener("pointerleave", () => cursor.set(null));
    this.area.addEventListener("blur", () => cursor.set(null));
    this.area.addEventListener("keydown", (event) => this.key(event));
    this.onCursor = () => this.points && this.drawCursor();
    cursor.watchers.add(this.onCursor);
    resizes.observe(this.area);
  }

  /** Let go of what holds this chart. */
  close() {
    cursor.watchers.delete(this.onCursor);
    resizes.unobserve(this.area);
    this.element.remove();
  }

  resize() {
    this._measure();
    if (this.points) this.redraw();
  }

  _measure() {
    this.scale = parseFloat(getComputedStyle(document.documentElement).fontSize) / 14; // charts grow with the type
    this.width = this.area.clientWidth / this.scale;
    this.height = this.area.clientHeight / this.scale;
    mark(this.svg, "viewBox", `0 0 ${this.width} ${this.height}`);
  }

  get isShown() {
    if (!this.width) this._measure();
    return this.width > 0;
  }

  /** Make room for the texts beside the axis, all of which a reader must see: a number without its first digit is another one. */
  fit(texts) {
    const room = 12 + Math.max(0, ...texts.map(textWidth));
    this.left = Math.min(Math.max(LEAST_LEFT, Math.ceil(room)), this.width / 2);
  }

  x(time) {
    return this.left + ((time - this.points.begin) / this.points.seconds) * (this.width - this.left - RIGHT);
  }

  point(event) {
    if (!this.points?.length) return;
    const box = this.area.getBoundingClientRect();
    const part = ((event.clientX - box.left) / this.scale - this.left) / (this.width - this.left - RIGHT);
    cursor.set(this.points.times[this.nearest(this.points.begin + part * this.points.seconds)]);
  }

  /** Return the position of the point that is nearest to a time. */
  nearest(time) {
    const { times } = this.points;
    let best = times.length - 1;
    times.forEach((other, position) => {
      if (Math.abs(other - time) < Math.abs(times[best] - time)) best = position;
    });
    return best;
  }

  key(event) {
    const last = (this.points?.length ?? 0) - 1;
    if (last < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const here = cursor.time === null ? last + 1 : this.nearest(cursor.time);
    const step = event.shiftKey ? 10 : 1;
    const moves = {
      ArrowLeft: here - step,
      ArrowRight: here + step,
      PageDown: here - 10,
      PageUp: here + 10,
      Home: 0,
      End: last,
    };
    if (event.key === "Escape" && cursor.time !== null) cursor.set(null);
    else if (event.key in moves) cursor.set(this.points.times[Math.min(last, Math.max(0, moves[event.key]))]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** The position that the cross-hair is at; null without one. */
  get pointed() {
    if (cursor.time === null || !this.points?.length) return null;
    return cursor.time < this.points.begin || cursor.time > this.points.end ? null : this.nearest(cursor.time);
  }

  drawCursor() {
    const at = this.pointed;
    write(this.clock, at === null ? "" : clock(this.points.times[at]));
    this.over.replaceChildren();
    if (at !== null) {
      const x = this.x(this.points.times[at]);
      this.over.append(s("line", { class: "crosshair", x1: x, x2: x, y1: TOP, y2: this.height - BOTTOM }));
    }
    this._describe(at);
  }

  _describe(at) {
    const last = Math.max(0, this.points.length - 1);
    mark(this.area, "aria-valuemin", 0);
    mark(this.area, "aria-valuemax", last);
    mark(this.area, "aria-valuenow", at ?? last);
    mark(this.area, "aria-valuetext", this.points.length ? this.describe(at) : "nothing recorded in this window");
  }

  drawTimes() {
    const { begin, end, seconds } = this.points;
    const wanted = Math.max(2, Math.floor((this.width - this.left) / 76));
    const steps = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1200, 1800];
    const step = steps.find((size) => seconds / size <= wanted) ?? 3600;
    for (let time = Math.ceil(begin / step) * step; time <= end; time += step) {
      const x = this.x(time);
      if (x < this.left + 14 || x > this.width - RIGHT - 10) continue;
      this.grid.append(s("text", { class: "tick tick-x", x, y: this.height - 5 }, clock(time, step % 60 !== 0)));
    }
    for (const [from, to] of this.points.gaps()) this._drawGap(from, to);
  }

  _drawGap(from, to) {
    const x = Math.max(this.left, this.x(Math.max(from, this.points.begin)));
    const width = Math.min(this.x(to), this.width - RIGHT) - x;
    if (width < 1) return;
    const height = this.height - TOP - BOTTOM;
    this.grid.append(s("rect", { class: "gap", x, y: TOP, width, height }));
    if (width > 60) {
      this.grid.append(s("text", { class: "tick gap-text", x: x + width / 2, y: TOP + height / 2 + 4 }, "no data"));
    }
  }
}

const ruler = document.createElement("canvas").getContext("2d");

function textWidth(text) {
  ruler.font = `${TICK_SIZE}px ${getComputedStyle(document.documentElement).fontFamily}`;
  return ruler.measureText(text).width;
}
