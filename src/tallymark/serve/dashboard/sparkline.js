// A line without axes, as high as the text beside it.

const SPARK_WIDTH = 100;
const SPARK_HEIGHT = 28;

/** Decoration beside a number: readers of the number miss nothing. */
class Sparkline {
  constructor(tone = "accent") {
    this.area = s("path", { class: "spark-area" });
    this.line = s("path", { class: "spark-line" });
    const box = `0 0 ${SPARK_WIDTH} ${SPARK_HEIGHT}`;
    const attributes = { viewBox: box, preserveAspectRatio: "none", class: `spark tone-${tone}`, "aria-hidden": "true" };
    this.element = s("svg", attributes, this.area, this.line);
  }

  /** Draw values over the times of some points; what is NaN is left open. Zero is at the bottom, unless all is far above it. */
  draw(points, values, fromZero = true) {
    const known = values.filter(Number.isFinite);
    const most = known.length ? Math.max(...known) : 1;
    const least = fromZero ? Math.min(0, ...known) : known.length ? Math.min(...known) : 0;
    const isLevel = most === least && !fromZero; // it is drawn in the middle
    const range = isLevel ? 2 : most - least || Math.abs(most) || 1;
    mark(this.element, "data-flat", fromZero && most === 0 ? "" : null);
    const x = (time) => ((time - points.begin) / points.seconds) * SPARK_WIDTH;
    const y = (value) => SPARK_HEIGHT - 1.5 - ((value - least + (isLevel ? 1 : 0)) / range) * (SPARK_HEIGHT - 4);
    const runs = runsOf(points, values);
    mark(this.line, "d", runs.map((run) => path(run, x, y)).join(""));
    mark(this.area, "d", runs.map((run) => closed(run, x, y, SPARK_HEIGHT)).join(""));
  }
}

/** Return the unbroken parts of a line, each a list of [time, value]. A gap, and what is not known, breaks it. */
function runsOf(points, values) {
  const runs = [];
  let run = null;
  values.forEach((value, position) => {
    if (points.breaks[position]) run = null;
    if (!Number.isFinite(value)) run = null;
    else if (run) run.push([points.times[position], value]);
    else runs.push((run = [[points.times[position], value]]));
  });
  return runs;
}

const short = (number) => Math.round(number * 100) / 100;

function path(run, x, y) {
  const steps = run.map(([time, value]) => `${short(x(time))} ${short(y(value))}`);
  if (steps.length === 1) steps.push(`${short(x(run[0][0]) + 0.5)} ${short(y(run[0][1]))}`);
  return `M${steps.join("L")}`;
}

function closed(run, x, y, bottom) {
  const first = short(x(run[0][0]));
  const last = short(x(run[run.length - 1][0]) + (run.length === 1 ? 0.5 : 0));
  return `${path(run, x, y)}L${last} ${bottom}L${first} ${bottom}Z`;
}
