// The bar at the top: whose numbers these are, how fresh, and how they are shown.

const WINDOWS = [
  ["1m", 60, "1 minute"],
  ["5m", 300, "5 minutes"],
  ["15m", 900, "15 minutes"],
  ["1h", 3600, "1 hour"],
];
const THEMES = ["auto", "light", "dark"];
const THEME_ICONS = { auto: ICONS.auto, light: ICONS.sun, dark: ICONS.moon };

/** What the reader chose, kept by the browser where it may be. */
const settings = {
  get(key, fallback) {
    try {
      return localStorage.getItem(`tallymark.${key}`) ?? fallback;
    } catch {
      return fallback;
    }
  },
  set(key, value) {
    try {
      localStorage.setItem(`tallymark.${key}`, value);
    } catch {
      // It holds until the page is closed.
    }
  },
};

/** The theme, and whether type is large. */
const look = {
  recall() {
    const theme = settings.get("theme", "auto");
    this._wear(THEMES.includes(theme) ? theme : "auto", settings.get("wall", "") === "on");
  },
  choose({ theme = this.theme, isWall = this.isWall }) {
    this._wear(theme, isWall);
    settings.set("theme", theme);
    settings.set("wall", isWall ? "on" : "");
  },
  _wear(theme, isWall) {
    Object.assign(this, { theme, isWall });
    document.documentElement.dataset.theme = theme;
    mark(document.documentElement, "data-density", isWall ? "wall" : null);
  },
};
look.recall(); // before anything is painted, which would change its colours

class Header {
  /** `actions`: onWindow(seconds), onPause(isPaused), onLook(), onRetry(), onSearch(). */
  constructor(actions) {
    this.actions = actions;
    this.isPaused = false;
    this.state = { name: "connecting" };
    this.service = document.getElementById("service");
    this.about = document.getElementById("about");
    this.status = document.getElementById("status");
    this.statusText = document.getElementById("status-text");
    this.statusTime = document.getElementById("status-time");
    this.banner = document.getElementById("banner");
    this._makeBanner();
    this._makeTools();
  }

  _makeBanner() {
    this.reason = h("strong", {});
    this.countdown = h("span", { "aria-live": "off" });
    const retry = h("button", { type: "button", class: "button", onclick: () => this.actions.onRetry() }, "Retry now");
    this.banner.append(h("span", { class: "banner-text" }, this.reason, this.countdown), retry);
  }

  _makeTools() {
    const tools = document.getElementById("tools");
    this.windows = WINDOWS.map(([label, seconds, name]) =>
      h(
        "button",
        { type: "button", "aria-label": name, "aria-pressed": "false", onclick: () => this.setWindow(seconds) },
        label,
      ),
    );
    this.pause = h("button", { type: "button", class: "icon-button", onclick: () => this.setPaused(!this.isPaused) });
    this.theme = h("button", { type: "button", class: "icon-button", onclick: () => this._nextTheme() });
    this.wall = h(
      "button",
      {
        type: "button",
        class: "icon-button only-wide",
        "aria-label": "Large type, for a screen on the wall",
        title: "Large type (W)",
        onclick: () => this._toggleWall(),
      },
      icon(ICONS.wall),
    );
    const search = h(
      "button",
      {
        type: "button",
        class: "search-button",
        "aria-label": "Search metrics and tags",
        onclick: () => this.actions.onSearch(),
      },
      icon(ICONS.search),
      h("span", {}, "Search"),
      h("kbd", { "aria-hidden": "true" }, "/"),
    );
    const group = h("div", { class: "segments", role: "group", "aria-label": "Window" }, this.windows);
    tools.append(search, group, this.pause, this.theme, this.wall);
    this._showLook();
    this.setWindow(Number(settings.get("window", 300)));
    this.setPaused(false);
  }

  setWindow(seconds) {
    const known = WINDOWS.some(([, size]) => size === seconds) ? seconds : 300;
    this.seconds = known;
    WINDOWS.forEach(([, size], at) => mark(this.windows[at], "aria-pressed", String(size === known)));
    settings.set("window", known);
    this.actions.onWindow(known);
  }

  setPaused(isPaused) {
    this.isPaused = isPaused;
    this.pause.replaceChildren(icon(isPaused ? ICONS.play : ICONS.pause));
    mark(this.pause, "aria-label", isPaused ? "Go on" : "Pause");
    mark(this.pause, "title", isPaused ? "Go on (P)" : "Pause (P)");
    mark(this.pause, "aria-pressed", String(isPaused));
    this.actions.onPause(isPaused);
    this.setState(this.state);
  }

  _showLook() {
    this.theme.replaceChildren(icon(THEME_ICONS[look.theme]));
    mark(this.theme, "aria-label", `Theme: ${look.theme}`);
    mark(this.theme, "title", `Theme: ${look.theme} (T)`);
    mark(this.wall, "aria-pressed", String(look.isWall));
  }

  _choose(change) {
    look.choose(change);
    this._showLook();
    this.actions.onLook();
  }

  _nextTheme() {
    this._choose({ theme: THEMES[(THEMES.indexOf(look.theme) + 1) % THEMES.length] });
  }

  _toggleWall() {
    this._choose({ isWall: !look.isWall });
  }

  /** Take a key that was pressed outside of any field. Return true if it meant something. */
  key(key) {
    const meanings = {
      "/": () => this.actions.onSearch(),
      p: () => this.setPaused(!this.isPaused),
      t: () => this._nextTheme(),
      w: () => this._toggleWall(),
      1: () => this.setWindow(60),
      2: () => this.setWindow(300),
      3: () => this.setWindow(900),
      4: () => this.setWindow(3600),
    };
    const meant = meanings[key.toLowerCase()];
    meant?.();
    return Boolean(meant);
  }

  setState(state) {
    this.state = state;
    const texts = { connecting: "Connecting", live: "Live", waiting: "Waiting", lost: "Disconnected" };
    const name = this.isPaused && state.name === "live" ? "paused" : state.name;
    mark(this.status, "data-state", name);
    write(this.statusText, name === "paused" ? "Paused" : texts[state.name]);
    this.banner.hidden = state.name !== "lost";
    if (state.name === "lost") write(this.reason, `Connection lost: ${state.reason}.`);
    this.tick();
  }

  /** Count down to the next attempt. */
  tick() {
    if (this.state.name !== "lost") return;
    const left = Math.ceil((this.state.retry - Date.now()) / 1000);
    write(
      this.countdown,
      left > 0 ? ` What is shown is kept. Next attempt in ${left}${THIN}s.` : " What is shown is kept. Trying…",
    );
  }

  draw(store) {
    const { service } = store;
    if (!service) return;
    const name = service.name || service.host || "Tallymark";
    write(this.service, visible(name, 60));
    document.title = `${visible(name, 60)} · Tallymark`;
    const many = store.processes.length;
    const parts = [
      service.name ? service.host : "",
      many > 1 ? `${whole(many)} processes` : `pid ${service.pid}`,
      `Python ${service.python}`,
      `Tallymark ${service.version}, ${service.engine} engine`,
    ];
    write(
      this.about,
      parts
        .filter(Boolean)
        .map((part) => visible(part, 60))
        .join(" · "),
    );
    write(this.statusTime, Number.isFinite(store.time) ? clock(store.time) : "");
    mark(this.statusTime, "datetime", Number.isFinite(store.time) ? new Date(store.time * 1000).toISOString() : null);
  }
}
