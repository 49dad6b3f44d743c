// Lines over time.

class Chart extends Plot {
  /**
   * `format` writes values; `fromZero` keeps zero in the picture, and `most` what else must be; `isFilled` fills what is under
   * the first line.
   */
  constructor(title, { format = plain, fromZero = true, isFilled = false, most = 0 } = {}) {
    super(title);
    Object.assign(this, { format, fromZero, isFilled, most, lines: [] });
    this.entries = [];
  }

  /** Draw `lines`, each {name, tone, values, label} with a value at each of the points. */
  draw(points, lines) {
    this.points = points;
    this.lines = lines;
    if (this.isShown) this.redraw();
  }

  redraw() {
    this._scale();
    this.grid.replaceChildren();
    this._drawLevels();
    this.drawTimes();
    this._drawLines();
    this._list();
    this.drawCursor();
  }

  _scale() {
    let least = Infinity;
    let most = -Infinity;
    for (const line of this.lines) {
      for (const value of line.values) {
        if (!Number.isFinite(value)) continue;
        least = Math.min(least, value);
        most = Math.max(most, value);
      }
    }
    if (least > most) [least, most] = [0, 1];
    if (this.fromZero) [least, most] = [Math.min(0, least), Math.max(this.most, most)];
    if (least === most) [least, most] = least === 0 ? [0, 1] : [Math.min(0, 2 * least), Math.max(0, 2 * most)];
    const wanted = Math.max(2, Math.round((this.height - TOP - BOTTOM) / 44));
    this.levels = ticks(least, most, wanted, this.format);
    this.fit(this.levels.map(this.format));
  }

  y(value) {
    const [least, most] = [this.levels[0], this.levels[this.levels.length - 1]];
    return this.height - BOTTOM - ((value - least) / (most - least)) * (this.height - TOP - BOTTOM);
  }

  _drawLevels() {
    for (const level of this.levels) {
      const y = Math.round(this.y(level)) + 0.5;
      this.grid.append(
        s("line", { class: level === 0 ? "level level-zero" : "level", x1: this.left, x2: this.width - RIGHT, y1: y, y2: y }),
        s("text", { class: "tick tick-y", x: this.left - 8, y: y + 3.5 }, this.format(level)),
      );
    }
  }

  _drawLines() {
    const x = (time) => this.x(time);
    const y = (value) => this.y(value);
    const drawn = [];
    this.lines.forEach((line, at) => {
      const runs = runsOf(this.points, line.values);
      if (this.isFilled && at === 0) {
        drawn.push(
          s("path", {
            class: `fill tone-${line.tone}`,
            d: runs.map((run) => closed(run, x, y, this.height - BOTTOM)).join(""),
          }),
        );
      }
      drawn.push(s("path", { class: `line tone-${line.tone}`, d: runs.map((run) => path(run, x, y)).join("") }));
    });
    this.marks.replaceChildren(...drawn);
  }

  _list() {
    const names = this.lines.map((line) => `${line.tone} ${line.name}`).join("\n");
    if (names === this.listed) return;
    this.listed = names;
    this.entries = this.lines.map((line) => h("span", { class: "legend-value" }));
    this.legend.replaceChildren(
      ...this.lines.map((line, at) =>
        h(
          "li",
          {},
          h("span", { class: `swatch tone-${line.tone}` }),
          h("span", { class: "legend-name" }, line.label?.() ?? line.name),
          this.entries[at],
        ),
      ),
    );
  }

  drawCursor() {
    super.drawCursor();
    const at = this.pointed;
    this.lines.forEach((line, index) => {
      const value = line.values[at ?? line.values.length - 1];
      write(this.entries[index], this.format(value));
      if (at !== null && Number.isFinite(value)) {
        this.over.append(
          s("circle", { class: `dot tone-${line.tone}`, cx: this.x(this.points.times[at]), cy: this.y(value), r: 3.5 }),
        );
      }
    });
  }

  /** The chart in words: at the cross-hair, or as a whole. */
  describe(at) {
    const named = (line, text) => (this.lines.length > 1 || line.name !== this.title ? `${line.name} ${text}` : text);
    if (at !== null) {
      return `${clock(this.points.times[at])}: ${this.lines.map((line) => named(line, this.format(line.values[at]))).join(", ")}`;
    }
    return this.lines.map((line) => named(line, this._range(line.values))).join("; ");
  }

  _range(values) {
    const known = values.filter(Number.isFinite);
    if (!known.length) return "nothing recorded";
    const [least, most] = [Math.min(...known), Math.max(...known)];
    return `now ${this.format(values[values.length - 1])}, from ${this.format(least)} to ${this.format(most)}`;
  }
}
