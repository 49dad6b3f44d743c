// What was recorded to histograms in some points of time, and its quantiles.

/** The counts of buckets with explicit bounds; the last is that of +Inf. */
class Buckets {
  constructor(bounds) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
    this.sum = 0;
  }

  /** Add what a series' column gained. */
  add(key, gain) {
    if (typeof key === "number") this.counts[key] += gain;
    else this.sum += gain;
  }

  get total() {
    return this.counts.reduce((sum, count) => sum + count, 0);
  }

  /** As Prometheus' histogram_quantile: on a straight line within a bucket; in that of +Inf, the highest bound. */
  quantile(q) {
    const total = this.total;
    if (!total) return NaN;
    const rank = q * total;
    let below = 0;
    let index = 0;
    while (index < this.bounds.length && below + this.counts[index] < rank) below += this.counts[index++];
    if (index === this.bounds.length) return this.bounds.length ? this.bounds[index - 1] : NaN;
    const upper = this.bounds[index];
    if (index === 0 && upper <= 0) return upper;
    const lower = index === 0 ? 0 : this.bounds[index - 1];
    return lower + (upper - lower) * ((rank - below) / this.counts[index]);
  }

  /** Return [lower, upper, count] of each bucket, the lowest first. */
  list() {
    return Array.from(this.counts, (count, index) => [
      this.bounds[index - 1] ?? -Infinity,
      this.bounds[index] ?? Infinity,
      count,
    ]);
  }
}

/** The counts of exponential buckets: bucket i of scale s holds what is above 2^(i/2^s), and not above 2^((i+1)/2^s). */
class ExponentialBuckets {
  constructor(scale) {
    this.scale = scale;
    this.zero = 0;
    this.positive = new Map();
    this.negative = new Map();
    this.sum = 0;
  }

  /** Add what a column of a series, whose buckets have a scale, gained. */
  add(key, gain, scale) {
    if (!gain) return;
    if (key === "zero") this.zero += gain;
    else if (key === "sum") this.sum += gain;
    else {
      const map = key[0] === "p" ? this.positive : this.negative;
      const index = Number(key.slice(1)) >> (scale - this.scale);
      map.set(index, (map.get(index) ?? 0) + gain);
    }
  }

  get total() {
    return this.list().reduce((sum, [, , count]) => sum + count, 0);
  }

  bound(index) {
    return 2 ** (index / 2 ** this.scale);
  }

  list() {
    const ordered = (map) => [...map].sort(([a], [b]) => a - b);
    const negative = ordered(this.negative)
      .reverse()
      .map(([i, count]) => [-this.bound(i + 1), -this.bound(i), count]);
    const zero = this.zero ? [[0, 0, this.zero]] : [];
    return [...negative, ...zero, ...ordered(this.positive).map(([i, count]) => [this.bound(i), this.bound(i + 1), count])];
  }

  /** As Prometheus' for native histograms: within a bucket, on a straight line of the logarithm. */
  quantile(q) {
    const list = this.list();
    let rank = q * list.reduce((sum, [, , count]) => sum + count, 0);
    for (const [lower, upper, count] of list) {
      if (count >= rank && count > 0) {
        const part = rank / count;
        if (lower === upper) return lower;
        return lower > 0 ? lower * (upper / lower) ** part : -(-lower * (upper / lower) ** part);
      }
      rank -= count;
    }
    return list.length ? list[list.length - 1][1] : NaN;
  }
}

function emptyBuckets(seriesList) {
  const family = seriesList[0].family;
  if (family.type === "histogram") return new Buckets(family.bounds);
  return new ExponentialBuckets(Math.min(...seriesList.filter((series) => series.row).map((series) => series.row[3]), 20));
}

/** Add what some series gained at one point. */
function fill(buckets, seriesList, at) {
  for (const series of seriesList) {
    for (const [key, column] of series.columns) buckets.add(key, column[at], series.row[3]);
  }
}

/** Return what the series of one family recorded, over all points together. */
function distribution(points, seriesList) {
  const buckets = emptyBuckets(seriesList);
  for (const series of seriesList) {
    for (const [key, column] of series.columns) buckets.add(key, increase(points, column), series.row[3]);
  }
  return buckets;
}

/** Return a list of what was recorded at each point and its look back (see Points). */
function distributions(points, seriesList) {
  return points.at.map((_, position) => {
    const buckets = emptyBuckets(seriesList);
    for (let at = points.from(position); at <= position; at++) fill(buckets, seriesList, points.at[at]);
    return buckets;
  });
}

/** Return the lines of some quantiles: for each, a value at each point, NaN where nothing was recorded. */
function quantileLines(points, seriesList, quantiles) {
  const found = distributions(points, seriesList);
  return quantiles.map((q) => found.map((buckets, position) => (points.spans[position] ? buckets.quantile(q) : NaN)));
}
