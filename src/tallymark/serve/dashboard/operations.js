// Which series are operations, routes and tasks, and how each did in a window.

/** A sort of operation: the families that hold its durations, and what their tags mean. */
const SORTS = [
  {
    name: "http",
    one: "request",
    many: "Requests",
    active: /(^|_)http_server_active_requests$/,
    matches: (family) => /(^|_)http_server_request_duration$/.test(family.base),
    label: (series) => series.tag("http_route") ?? "(no route)",
    prefix: (series) => series.tag("http_request_method") ?? "",
    isError: (series) => Number(series.tag("http_response_status_code")) >= 500 || Boolean(series.tag("error_type")),
    outcome: (series) => series.tag("http_response_status_code") ?? series.tag("error_type") ?? "none",
  },
  {
    name: "operation",
    one: "operation",
    many: "Operations",
    active: /(^|_)operations_in_flight$/,
    matches: (family) => /(^|_)operation_duration$/.test(family.base),
    label: (series) => series.tag("operation"),
    prefix: () => "",
    isError: (series) => !["success", "cancelled", undefined].includes(series.tag("status")),
    outcome: (series) => series.tag("status") ?? "unknown",
  },
  {
    name: "task",
    one: "task",
    many: "Tasks",
    active: /(^|_)celery_worker_tasks_active$/,
    matches: (family) => /(^|_)celery_task_duration$/.test(family.base),
    label: (series) => series.tag("task"),
    prefix: () => "",
    isError: (series) => series.tag("state") === "FAILURE",
    outcome: (series) => series.tag("state") ?? "unknown",
  },
];

const QUANTILES = [0.5, 0.95, 0.99];

/** One operation, route or task: its series, by how they ended. */
class Operation {
  constructor(sort, family, first) {
    this.sort = sort;
    this.family = family;
    this.label = sort.label(first);
    this.prefix = sort.prefix(first);
    this.series = [];
    this.failed = [];
  }

  add(series) {
    this.series.push(series);
    if (this.sort.isError(series)) this.failed.push(series);
  }

  /** Text by which one is told from another. */
  get id() {
    return JSON.stringify([this.family.name, this.prefix, this.label]);
  }

  /** Factor by which a duration is multiplied to be in seconds. */
  get seconds() {
    return this.family.unit === "milliseconds" || this.family.unit === "ms" ? 1e-3 : 1;
  }
}

/** The operations in a store; found again when families or series come or go. */
class Operations {
  constructor(store) {
    this.store = store;
    this.version = -1;
    this.all = [];
  }

  list() {
    if (this.version !== this.store.version) {
      this.version = this.store.version;
      this.all = this._find();
    }
    return this.all;
  }

  _find() {
    const found = new Map();
    for (const family of this.store.families.values()) {
      const sort = family.isDistribution && SORTS.find((one) => one.matches(family));
      if (!sort) continue;
      for (const series of family.rows) {
        if (sort.label(series) === undefined) continue;
        const operation = new Operation(sort, family, series);
        const known = found.get(operation.id) ?? operation;
        found.set(operation.id, known);
        known.add(series);
      }
    }
    return [...found.values()];
  }

  /** The sort that the tiles are about: the first that recorded something; else the first there is. */
  leading() {
    const all = this.list();
    const sorts = SORTS.filter((sort) => all.some((operation) => operation.sort === sort));
    const points = this.store.window(3600);
    return (
      sorts.find((sort) => all.some((one) => one.sort === sort && one.series.some((series) => recorded(points, series)))) ??
      sorts[0]
    );
  }
}

/** How some series of one sort did over a window. `families` of different bounds cannot be added: the first counts. */
function summary(points, series, failed) {
  const count = series.reduce((sum, one) => sum + recorded(points, one), 0);
  const errors = failed.reduce((sum, one) => sum + recorded(points, one), 0);
  const quantile = distribution(points, series);
  const [p50, p95, p99] = QUANTILES.map((q) => quantile.quantile(q));
  return {
    count,
    errors,
    rate: points.covered ? count / points.covered : NaN,
    errorRatio: count ? errors / count : NaN,
    mean: count ? quantile.sum / count : NaN,
    p50,
    p95,
    p99,
  };
}

/** The rate of what some series recorded, at each point. */
function rateLine(points, series) {
  return points.rates(increases(points, ...series.flatMap(countColumns)));
}

/** The part of what was recorded that failed, at each point; NaN where nothing was. */
function errorLine(points, series, failed) {
  const all = rateLine(points, series);
  const bad = rateLine(points, failed);
  return all.map((rate, position) => (rate ? bad[position] / rate : rate));
}
