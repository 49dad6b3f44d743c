// The tiles at the top: what there is to know in one look.

class Tile {
  constructor(label, tone) {
    this.label = h("dt", { class: "tile-label" }, label);
    this.value = h("span", { class: "tile-value" }, "–");
    this.note = h("span", { class: "tile-note" });
    this.spark = new Sparkline(tone);
    this.element = h("div", { class: "tile" }, this.label, h("dd", {}, this.value, this.note), this.spark.element);
  }

  draw(label, value, note, points, values, fromZero = true) {
    write(this.label, label);
    write(this.value, value);
    write(this.note, note);
    this.spark.draw(points, values, fromZero);
  }
}

class Tiles {
  constructor(store, operations) {
    this.store = store;
    this.operations = operations;
    this.rate = new Tile("Requests", "accent");
    this.errors = new Tile("Errors", "bad");
    this.latency = new Tile("p95 latency", "accent");
    this.active = new Tile("In progress", "accent");
    this.series = new Tile("Series", "quiet");
    this.rejected = new Tile("Rejected", "warn");
    const tiles = [this.rate, this.errors, this.latency, this.active, this.series, this.rejected];
    this.element = h(
      "dl",
      { class: "tiles" },
      tiles.map((tile) => tile.element),
    );
  }

  draw(points) {
    const sort = this.operations.leading();
    if (sort) this._drawOperations(points, sort);
    else this._drawRecords(points);
    this._drawActive(points, sort);
    this._drawSeries(points);
    this._drawRejected(points);
  }

  _drawOperations(points, sort) {
    const chosen = this.operations.list().filter((operation) => operation.sort === sort);
    const family = chosen[0].family;
    const series = chosen.filter((one) => one.family === family).flatMap((one) => one.series);
    const failed = chosen.filter((one) => one.family === family).flatMap((one) => one.failed);
    const all = summary(points, series, failed);
    const [p95] = quantileLines(points, series, [0.95]);
    const format = inUnit(family.unit);
    this.rate.draw(
      sort.many,
      perSecond(all.rate),
      all.count ? `${whole(all.count)} in ${age(points.covered)}` : "none in this window",
      points,
      rateLine(points, series),
    );
    this.errors.draw(
      "Errors",
      percent(all.errorRatio),
      all.errors ? `${whole(all.errors)} of ${whole(all.count)}` : "none",
      points,
      errorLine(points, series, failed),
    );
    this.latency.draw("p95 latency", format(all.p95), `p50 ${format(all.p50)} · p99 ${format(all.p99)}`, points, p95);
    mark(this.errors.element, "data-alarm", all.errorRatio >= 0.05 ? "bad" : all.errorRatio >= 0.01 ? "warn" : null);
  }

  _drawRecords(points) {
    const all = [...this.store.families.values()].filter((family) => !family.isLevel).flatMap((family) => family.rows);
    const count = all.reduce((sum, series) => sum + recorded(points, series), 0);
    const nothing = points.times.map(() => NaN);
    this.rate.draw(
      "Records",
      perSecond(points.covered ? count / points.covered : NaN),
      "of all counters and histograms",
      points,
      rateLine(points, all),
    );
    this.errors.draw("Errors", "–", "no operations yet", points, nothing);
    this.latency.draw("p95 latency", "–", "no operations yet", points, nothing);
  }

  _drawActive(points, sort) {
    const series = [...this.store.families.values()]
      .filter((family) => family.isLevel && sort?.active.test(family.base))
      .flatMap((family) => family.rows);
    const lines = series.map((one) => levels(points, one));
    const sums = points.times.map((_, at) => (series.length ? lines.reduce((sum, line) => sum + (line[at] || 0), 0) : NaN));
    const now = series.reduce((sum, one) => sum + (one.value || 0), 0);
    const most = Math.max(...sums.filter(Number.isFinite));
    this.active.draw(
      "In progress",
      series.length ? plain(now) : "–",
      series.length ? (sums.length ? `at most ${plain(most)}` : "") : "no gauge of it",
      points,
      sums,
    );
  }

  _drawSeries(points) {
    const values = points.at.map((at) => this.store.totals.counts[at]);
    const count = this.store.seriesCount;
    const gained = values.length ? count - values[0] : 0;
    const change = gained ? ` · ${gained > 0 ? "+" : "−"}${whole(Math.abs(gained))}` : "";
    this.series.draw("Series", whole(count), `in ${whole(this.store.families.size)} metrics${change}`, points, values, false);
  }

  _drawRejected(points) {
    const series = this.store.families.get("tallymark_rejected")?.rows ?? [];
    const total = series.reduce((sum, one) => sum + (one.value || 0), 0);
    const count = series.reduce((sum, one) => sum + recorded(points, one), 0);
    const note = total ? `${whole(total)} since the start` : "nothing, ever";
    this.rejected.draw("Rejected", whole(count), note, points, rateLine(points, series));
    mark(this.rejected.element, "data-alarm", count ? "warn" : null);
  }
}
