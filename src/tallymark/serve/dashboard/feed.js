// Where the readings come from: a stream of server-sent events, or one request after the other.

const POLL_SECONDS = 2;
const LONGEST_DELAY = 15; // seconds between two attempts to connect
const SILENCE = 20; // seconds without a word after which a stream counts as dead
const HIDDEN = 300; // seconds after which a page that nobody sees stops to ask

class FeedError extends Error {}

/** What a status says, to who can do something about it. */
function refusal(status) {
  if (status === 401 || status === 403)
    return `the endpoint wants credentials (status ${status}): reload the page to give them`;
  if (status === 404) return "there is no feed at this address (status 404): is it still the same service?";
  if (status === 503) return "the endpoint has too many viewers, or is not ready (status 503)";
  return `the endpoint answered with status ${status}`;
}

/**
 * Asks for readings, for ever. `onDocument` gets each document; `onState` gets {name, reason, retry} when the state changes:
 * "connecting", "live", "waiting" (nobody looks), or "lost" until `retry` (milliseconds since the epoch).
 */
class Feed {
  constructor(url, mode, onDocument, onState) {
    Object.assign(this, { url, mode, onDocument, onState });
    this.failures = 0;
    this.hiddenSince = document.hidden ? Date.now() : null;
    this.wake = () => {}; // ends a pause early
    document.addEventListener("visibilitychange", () => this._visibility());
  }

  get every() {
    return this.mode === "poll" ? POLL_SECONDS : 0;
  }

  async run() {
    this.onState({ name: "connecting" });
    for (;;) {
      try {
        await (this.mode === "poll" ? this._poll() : this._listen());
      } catch (error) {
        await this._fail(error);
      }
    }
  }

  /** Try again now. */
  retry() {
    this.wake();
  }

  async _fail(error) {
    const delay = Math.min(LONGEST_DELAY, 2 ** this.failures++) * (0.75 + Math.random() / 2);
    const reason = error instanceof FeedError ? error.message : "the endpoint does not answer";
    this.onState({ name: "lost", reason, retry: Date.now() + delay * 1000 });
    await this._pause(delay);
  }

  _pause(seconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, seconds * 1000);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  _visibility() {
    this.hiddenSince = document.hidden ? Date.now() : null;
    if (!document.hidden) this.wake();
  }

  async _poll() {
    if (document.hidden && Date.now() - (this.hiddenSince ?? Date.now()) > HIDDEN * 1000) {
      this.onState({ name: "waiting" });
      await this._pause(86400);
      return;
    }
    const began = performance.now();
    const response = await this._request("application/json", AbortSignal.timeout(SILENCE * 1000));
    this._take(await response.text());
    await this._pause(Math.max(0.1, POLL_SECONDS - (performance.now() - began) / 1000));
  }

  async _request(accept, signal) {
    const response = await fetch(this.url, { headers: { Accept: accept }, cache: "no-store", redirect: "error", signal });
    if (!response.ok) throw new FeedError(refusal(response.status));
    return response;
  }

  async _listen() {
    const controller = new AbortController();
    let timer = setTimeout(() => controller.abort(), SILENCE * 1000);
    try {
      const response = await this._request("text/event-stream", controller.signal);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      const events = new EventParser((data) => this._take(data));
      for (;;) {
        const { value, done } = await reader.read();
        if (done) throw new FeedError("the endpoint closed the stream");
        clearTimeout(timer);
        timer = setTimeout(() => controller.abort(), SILENCE * 1000);
        events.push(value);
      }
    } finally {
      clearTimeout(timer);
      controller.abort();
    }
  }

  _take(text) {
    let told;
    try {
      told = JSON.parse(text);
      this.onDocument(told);
    } catch (error) {
      if (!(error instanceof SyntaxError || error instanceof TypeError)) throw error;
      throw new FeedError("the endpoint sent what this page cannot read: reload it, if the service was updated");
    }
    this.failures = 0;
    this.onState({ name: "live" });
  }
}

/** Finds the data of each event in the pieces of a stream. */
class EventParser {
  constructor(onData) {
    this.onData = onData;
    this.rest = "";
    this.data = [];
  }

  push(piece) {
    const lines = (this.rest + piece).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop();
    for (const line of lines) this._line(line);
  }

  _line(line) {
    if (line.startsWith("data:")) this.data.push(line.slice(line[5] === " " ? 6 : 5));
    else if (line === "" && this.data.length) {
      const data = this.data.join("\n");
      this.data = [];
      this.onData(data);
    }
  }
}
