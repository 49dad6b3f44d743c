// The table of operations, routes and tasks, with the charts of the one that is chosen.

/** The charts of one operation. */
class OperationDetail {
  constructor(operation) {
    this.operation = operation;
    const format = inUnit(operation.family.unit);
    this.rate = new Chart("Rate by outcome", { format: perSecond, isFilled: true });
    this.errors = new Chart("Errors", { format: percent, isFilled: true, most: 0.01 });
    this.latency = new Chart("Latency", { format });
    this.heat = new HeatMap("Latency, how many", format);
    this.charts = [this.rate, this.errors, this.latency, this.heat];
    this.element = h(
      "div",
      { class: "detail charts" },
      this.charts.map((chart) => chart.element),
    );
  }

  draw(points) {
    const { series, failed } = this.operation;
    this.rate.draw(points, this._outcomes(points));
    this.errors.draw(points, [{ name: "errors", tone: "bad", values: errorLine(points, series, failed) }]);
    const lines = quantileLines(points, series, QUANTILES);
    this.latency.draw(
      points,
      lines.map((values, at) => ({ name: ["p50", "p95", "p99"][at], tone: `q${at}`, values })),
    );
    this.heat.draw(points, series);
  }

  /** A line for all, and one for each of the ways that operations end. */
  _outcomes(points) {
    const { sort, series } = this.operation;
    const by = new Map();
    for (const one of series) by.set(sort.outcome(one), [...(by.get(sort.outcome(one)) ?? []), one]);
    const all = { name: "all", tone: "accent", values: rateLine(points, series) };
    if (by.size === 1) return [{ ...all, name: [...by.keys()][0] }];
    const others = [...by].sort(([a], [b]) => (a < b ? -1 : 1)).slice(0, 7);
    return [all, ...others.map(([name, group], at) => this._outcome(points, name, group, at))];
  }

  _outcome(points, name, group, at) {
    const tone = this.operation.sort.isError(group[0]) ? ["bad", "s3", "s7"][at % 3] : `s${(at % 7) + 2}`;
    return { name: visible(name, 24), tone, values: rateLine(points, group) };
  }

  close() {
    for (const chart of this.charts) chart.close();
  }
}

class OperationTable {
  constructor(operations) {
    this.operations = operations;
    this.chosen = null; // the id of the operation whose charts are shown
    this.detail = null;
    this.table = new Table({
      caption: "Operations and routes",
      columns: this._columns(),
      keyOf: (row) => row.id,
      sort: "rate",
      onSelect: (row) => this.choose(row.id),
    });
    this.empty = emptyState(
      "No operations yet",
      h("span", {}, "Count anything: ", code('tm.counter("jobs").inc()')),
      h(
        "span",
        {},
        "Measure an operation: ",
        code("ops = tm.OperationalMetrics()"),
        " ",
        code('with ops.operation("load"): …'),
      ),
      h(
        "span",
        {},
        "Measure a whole service: ",
        code("tm.integrations.fastapi.instrument(app)"),
        " Flask, Django, aiohttp and Celery are alike.",
      ),
    );
    this.count = h("span", { class: "section-note" });
    this.element = h("div", {}, this.empty, this.table.element);
  }

  _columns() {
    const spark = (line, tone) => ({
      make: (row, cell) => {
        cell.spark = new Sparkline(tone);
        cell.number = h("span", { class: "cell-number" });
        return h("span", { class: "cell-spark" }, cell.spark.element, cell.number);
      },
      update: (cell, row, text = line.text(row)) => {
        write(cell.number, text);
        cell.spark.draw(row.points, line.values(row));
      },
    });
    const time = (key) => ({
      key,
      label: key,
      isNumber: true,
      title: `${digits(Number(key.slice(1)))} of 100 took no longer`,
      value: (row) => row[key] * row.operation.seconds,
    });
    const text = (key) => (row) => inUnit(row.operation.family.unit)(row[key]);
    return [
      {
        key: "name",
        label: "Operation",
        value: (row) => row.operation.label.toLowerCase(),
        make: (row) => this._name(row),
        update: (cell, row) => this._updateName(cell, row),
      },
      {
        key: "rate",
        label: "Rate",
        isNumber: true,
        value: (row) => row.rate,
        ...spark({ text: (row) => perSecond(row.rate), values: (row) => row.rates }, "accent"),
      },
      {
        key: "errors",
        label: "Errors",
        isNumber: true,
        value: (row) => row.errorRatio,
        ...spark({ text: (row) => percent(row.errorRatio), values: (row) => row.errorRates }, "bad"),
      },
      { ...time("p50"), text: text("p50") },
      { ...time("p95"), ...spark({ text: text("p95"), values: (row) => row.latencies }, "accent") },
      { ...time("p99"), text: text("p99") },
    ];
  }

  _name(row) {
    const { prefix, label } = row.operation;
    const method = prefix && h("span", { class: "method" }, visible(prefix, 12));
    const button = h(
      "button",
      { type: "button", class: "row-name", onclick: () => this.choose(row.id) },
      icon(ICONS.chevron),
      method,
      foreign(withEnd(label, 90), 90, { full: label }),
    );
    return button;
  }

  _updateName(cell, row) {
    mark(cell.firstChild, "aria-expanded", String(row.id === this.chosen));
    mark(cell.parentNode, "data-chosen", row.id === this.chosen ? "" : null);
    mark(cell.parentNode, "data-none", row.errors ? null : "");
    mark(cell.parentNode, "data-alarm", row.errorRatio >= 0.05 ? "bad" : row.errorRatio >= 0.01 ? "warn" : null);
  }

  choose(id) {
    this.detail?.close();
    this.table.detail?.tr.remove();
    this.table.detail = this.detail = null;
    this.chosen = this.chosen === id ? null : id;
    const operation = this.operations.list().find((one) => one.id === this.chosen);
    if (operation) {
      this.detail = new OperationDetail(operation);
      const cell = h("td", { colspan: this.table.columns.length }, this.detail.element);
      this.table.detail = { key: id, tr: h("tr", { class: "detail-row" }, cell) };
    }
    if (this.points) this.draw(this.points);
  }

  draw(points) {
    this.points = points;
    const all = this.operations.list();
    const rows = all.map((operation) => this._row(points, operation));
    this.empty.hidden = all.length > 0;
    write(this.empty.firstChild, this.operations.store.families.size ? "No operations yet" : "Nothing recorded yet");
    this.table.element.hidden = !all.length;
    const cut = [...new Set(all.map((operation) => operation.family))].filter((family) => family.isCut).map(toldOf);
    write(this.count, all.length ? [whole(all.length), ...cut].join(" · ") : "");
    this.table.draw(rows);
    this._drawDetail(points, all);
  }

  _row(points, operation) {
    const { series, failed } = operation;
    return {
      id: operation.id,
      operation,
      points,
      ...summary(points, series, failed),
      get rates() {
        return rateLine(points, series);
      },
      get errorRates() {
        return errorLine(points, series, failed);
      },
      get latencies() {
        return quantileLines(points, series, [0.95])[0];
      },
    };
  }

  _drawDetail(points, all) {
    if (!this.detail) return;
    const now = all.find((operation) => operation.id === this.chosen);
    if (!now) return this.choose(this.chosen);
    this.detail.operation = now;
    this.detail.draw(points);
  }
}
