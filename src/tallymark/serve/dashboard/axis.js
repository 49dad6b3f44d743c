// When the readings were: one axis of time for all series.

const FINE = 300; // readings that are kept one by one: five minutes, at one a second
const COARSE = 360; // points of ten seconds each: an hour
const COARSE_SECONDS = 10;
const POINTS = FINE + COARSE; // a column's numbers: the fine ones first, then the coarse ones
const SHORTEST = 30; // seconds that charts show at least: a page that was just opened shows what it has over all its width
const LONGEST_FINE = 300; // seconds: the longest window that is drawn from single readings

/**
 * Two rings of points in time. A column (see series.js) has a number for each point, at the same index.
 *
 * `spans` tells how many seconds of recording a point covers. It is 0 where that is not known: after a gap.
 */
class Axis {
  constructor() {
    this.times = new Float64Array(POINTS);
    this.spans = new Float32Array(POINTS);
    this.breaks = new Uint8Array(POINTS); // 1 where there is a gap before a point, or within it
    this.clear();
  }

  clear() {
    this.fine = FINE - 1; // the index of the newest point of each ring
    this.coarse = POINTS - 1;
    this.fineLength = 0;
    this.coarseLength = 0;
    this.coarseEnd = -Infinity;
    this.last = NaN; // the time of the last reading
  }

  /** Begin the point of a reading. Return true if it begins a coarse point, too. */
  advance(time, span) {
    this.fine = (this.fine + 1) % FINE;
    this.fineLength = Math.min(this.fineLength + 1, FINE);
    this._set(this.fine, time, span);
    const isNew = time >= this.coarseEnd;
    if (isNew) {
      this.coarse = FINE + ((this.coarse - FINE + 1) % COARSE);
      this.coarseLength = Math.min(this.coarseLength + 1, COARSE);
      this.coarseEnd = (Math.floor(time / COARSE_SECONDS) + 1) * COARSE_SECONDS;
      this._set(this.coarse, time, span);
    } else {
      this.times[this.coarse] = time;
      this.spans[this.coarse] += span;
      if (span === 0) this.breaks[this.coarse] = 1;
    }
    this.last = time;
    return isNew;
  }

  _set(index, time, span) {
    this.times[index] = time;
    this.spans[index] = span;
    this.breaks[index] = span === 0 ? 1 : 0;
  }

  /** Return the points of the last `seconds` before `end`, the oldest first. Windows over five minutes have coarse points. */
  window(seconds, end) {
    const isFine = seconds <= LONGEST_FINE;
    const [base, size, newest, length] = isFine
      ? [0, FINE, this.fine, this.fineLength]
      : [FINE, COARSE, this.coarse - FINE, this.coarseLength];
    const at = [];
    for (let back = 0; back < length; back++) {
      const index = base + ((newest - back + size) % size);
      if (this.times[index] <= end - seconds + 1e-6) break;
      if (this.times[index] <= end) at.push(index);
    }
    at.reverse();
    const age = at.length && at.length === length ? end - this.times[at[0]] : seconds; // of all there is, if that is younger
    return new Points(this, at, Math.min(seconds, Math.max(SHORTEST, age)), end);
  }
}

/**
 * Some points of an axis, in the order of time.
 *
 * `step` is how many of them a rate or a quantile in a chart looks back over, so that lines are calm.
 */
class Points {
  constructor(axis, at, seconds, end) {
    this.at = at;
    this.seconds = seconds;
    this.begin = end - seconds;
    this.end = end;
    this.times = at.map((index) => axis.times[index]);
    this.spans = at.map((index) => axis.spans[index]);
    this.breaks = at.map((index) => axis.breaks[index] === 1);
    this.covered = this.spans.reduce((sum, span) => sum + span, 0);
    this.meanSpan = this.covered / Math.max(1, this.spans.filter((span) => span > 0).length) || 1;
    this.step = Math.max(1, Math.round(seconds / 30 / this.meanSpan));
  }

  get length() {
    return this.at.length;
  }

  /** Return the points between two positions, as a window of their own. */
  slice(from, to) {
    const part = Object.create(Points.prototype);
    Object.assign(part, this, {
      at: this.at.slice(from, to),
      times: this.times.slice(from, to),
      spans: this.spans.slice(from, to),
      breaks: this.breaks.slice(from, to),
    });
    part.covered = part.spans.reduce((sum, span) => sum + span, 0);
    return part;
  }

  /** Return the position of the first point that a point's look back reaches; no look reaches over a gap. */
  from(position) {
    let first = position;
    while (first > 0 && position - first < this.step - 1 && !this.breaks[first]) first--;
    return this.breaks[first] && this.spans[first] === 0 && first < position ? first + 1 : first;
  }

  /** Return the times between which nothing is known, for charts to show. */
  gaps() {
    const found = [];
    for (let position = 1; position < this.length; position++) {
      if (this.breaks[position]) found.push([this.times[position - 1], this.times[position]]);
    }
    const last = this.times[this.length - 1];
    if (this.length && this.end - last > 2.5 * Math.max(1, this.covered / this.length)) found.push([last, this.end]);
    return found;
  }

  /** Return the rate of an increase at each point: over its look back, per second. NaN where it is not known. */
  rates(increases) {
    return increases.map((_, position) => {
      if (this.spans[position] === 0) return NaN;
      let sum = 0;
      let span = 0;
      for (let at = this.from(position); at <= position; at++) {
        sum += increases[at];
        span += this.spans[at];
      }
      return span ? sum / span : NaN;
    });
  }
}
