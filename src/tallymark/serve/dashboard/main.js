// The page: reads the feed into the store, and draws the store, once for each reading and not while nobody sees it.

const CALM = 1000; // series: with more of them, what looks at all is drawn every fifth reading only

class Page {
  constructor() {
    this.store = new Store();
    this.operations = new Operations(this.store);
    this.seconds = 300;
    this.pausedAt = null;
    this.drawn = 0;
    this.isPlanned = false;
    this._makeFeed();
    this._makeParts();
    this.header = new Header({
      onWindow: (seconds) => this._look({ seconds }),
      onPause: (isPaused) => this._look({ pausedAt: isPaused && this.drawn ? this.end : null }),
      onLook: () => this._look({}),
      onRetry: () => this.feed.retry(),
      onSearch: () => this.search.open(),
    });
    this._listen();
    this.feed.run();
    setInterval(() => this._tick(), 1000);
  }

  _makeFeed() {
    const mode = document.querySelector('meta[name="tallymark-feed"]').content === "poll" ? "poll" : "events";
    const url = `${location.pathname.replace(/\/?$/, "/")}live`; // also where the app is mounted without a slash at the end
    this.feed = new Feed(
      url,
      mode,
      (told) => this._take(told),
      (state) => this._setState(state),
    );
  }

  _makeParts() {
    this.search = new Search(this.store, (...chosen) => this.plots.add(...chosen));
    this.plots = new Plots(this.store, () => this.search.open());
    const plot = (family, series) => this.plots.add(family, series);
    this.tiles = new Tiles(this.store, this.operations);
    this.table = new OperationTable(this.operations);
    this.changes = new Changes(this.store, plot);
    this.cardinality = new Cardinality(this.store, plot);
    this.rejected = new Rejected(this.store);
    this.processes = new Processes(this.store);
    const parts = {
      tiles: this.tiles,
      operations: this.table,
      plots: this.plots,
      changes: this.changes,
      cardinality: this.cardinality,
      rejected: this.rejected,
      processes: this.processes,
    };
    for (const [id, part] of Object.entries(parts)) document.getElementById(id).append(part.element);
    document.getElementById("operations-title").append(this.table.count);
    document.body.append(this.search.element);
  }

  _listen() {
    document.addEventListener("visibilitychange", () => this._plan());
    document.addEventListener("keydown", (event) => {
      const isTyping = event.target.closest?.("input, textarea, select, dialog");
      if (isTyping || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (this.header.key(event.key)) event.preventDefault();
    });
  }

  _take(told) {
    if (!this.store.take(told, this.feed.every)) return;
    this.arrived = performance.now();
    this.processes.take(told.time, told.processes ?? this.store.processes);
    this._plan();
  }

  _setState(state) {
    this.state = state;
    this.header?.setState(state);
    this._plan();
  }

  _look(change) {
    Object.assign(this, change);
    this.drawn = 0;
    this._plan();
  }

  /** Where charts end: at the last reading; while none comes, at the present, so that what is missing is seen. */
  get end() {
    const { time } = this.store;
    if (this.state?.name !== "lost") return time;
    return time + Math.max(0, (performance.now() - this.arrived) / 1000);
  }

  _tick() {
    this.header.tick();
    if (this.state?.name === "lost") this._plan();
  }

  _plan() {
    if (this.isPlanned || document.hidden) return;
    this.isPlanned = true;
    requestAnimationFrame(() => {
      this.isPlanned = false;
      if (this.header && Number.isFinite(this.store.time)) this._draw();
    });
  }

  _draw() {
    const all = this.store.window(this.seconds, this.pausedAt ?? this.end);
    this.header.draw(this.store);
    document.documentElement.dataset.ready = "";
    if (this.pausedAt !== null && this.drawn) return;
    this.tiles.draw(all);
    this.table.draw(all);
    this.plots.draw(all);
    this.processes.draw();
    this.rejected.draw(all);
    if (this.store.seriesCount <= CALM || this.drawn % 5 === 0) {
      this.cardinality.draw();
      this.changes.draw(all);
    }
    this.drawn++;
  }
}

function start() {
  window.tallymark = new Page();
}

// The bar and the names of the sections are painted first; then there is time to make the rest. Nobody waits for a hidden page.
if (document.hidden) start();
else requestAnimationFrame(() => setTimeout(start));
