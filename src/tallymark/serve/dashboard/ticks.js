// The numbers beside an axis.

const TIME_STEPS = [30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

/** Return a step that is round as `format` writes it, and about `rough`. */
function roundStep(rough, format) {
  if ((format === bytes || format === bytesPerSecond) && rough >= 1) return 2 ** Math.ceil(Math.log2(rough));
  if (format === duration && rough > 15) {
    return TIME_STEPS.find((step) => step >= rough * 0.999) ?? 86400 * Math.ceil(rough / 86400);
  }
  const size = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 2.5, 5, 10].find((part) => part * size >= rough * 0.999) * size;
}

/** Return about `wanted` round numbers from `least` to beyond `most`. */
function ticks(least, most, wanted, format) {
  const range = most - least || Math.abs(most) || 1;
  const step = roundStep(range / wanted, format);
  const first = Math.floor(least / step + 1e-9);
  const count = Math.max(1, Math.ceil(most / step - 1e-9) - first);
  return Array.from({ length: count + 1 }, (_, at) => Number(((first + at) * step).toPrecision(12)));
}
