/* Two charts over one span: the score, and a lane for each kind of signal. uPlot gives axes, cursor and drag. */

const LANE_HEIGHT = 28;
const DECISIONS_LANE = 0.8; // above the others, in lanes
const AXIS_SIZE = 92;
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
let palette = {};
function readPalette() {
  for (const name of ["text", "quiet", "line", "info", "warning", "error", "accent", "gap", "cooldown", "decision", "unread", "stripe", "area"]) palette[name] = color(name);
}

const charts = { score: null, lanes: null };
const sync = uPlot.sync("reputation");

function chartOptions(place, height, extra) {
  const grid = { stroke: () => palette.line, width: 1 };
  const axis = { stroke: () => palette.quiet, grid, ticks: grid, font: "11px system-ui" };
  return {
    width: place.clientWidth || 600,
    height,
    ms: 1,
    tzDate: (ms) => uPlot.tzDate(new Date(ms), "Etc/UTC"),
    legend: { show: false },
    cursor: { y: false, sync: { key: sync.key, scales: ["x", null] }, drag: { x: true, y: false, setScale: false }, points: { show: false } },
    scales: { x: { time: true, range: () => [view.since, view.until] }, ...extra.scales },
    padding: [8, 32, extra.times === false ? 6 : 0, 0],
    axes: [{ ...axis, show: extra.times !== false, space: 90, values: timeLabels }, { ...axis, size: AXIS_SIZE, ...extra.axis }],
    series: [{}, extra.series ?? {}],
    hooks: { setSelect: [zoomToSelection], drawClear: [drawBands], ...extra.hooks },
  };
}

/** 24-hour UTC, as fine as the steps; the date where a day begins and at the left edge. */
function timeLabels(_, splits, _axis, _space, step) {
  return splits.map((at, index) => {
    const text = new Date(at).toISOString();
    const time = step < 1000 ? text.slice(11, 23) : text.slice(11, step < MINUTE ? 19 : 16);
    if (step >= 86400e3) return text.slice(0, 10);
    return index === 0 || text.slice(11, 23) === "00:00:00.000" ? `${time}\n${text.slice(0, 10)}` : time;
  });
}

function zoomToSelection(chart) {
  if (chart.select.width < 4) return;
  const since = chart.posToVal(chart.select.left, "x");
  const until = chart.posToVal(chart.select.left + chart.select.width, "x");
  chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  view.follow = false;
  setSpan(since, until);
  moved();
}

function makeCharts() {
  readPalette();
  const scorePlace = $("score-chart");
  const lanesPlace = $("lanes-chart");
  charts.score?.destroy();
  charts.lanes?.destroy();
  charts.score = new uPlot(chartOptions(scorePlace, 116, {
    scales: { y: { range: [0, 100] } },
    axis: { splits: () => [0, 30, 50, 80, 100], values: (_, splits) => splits.map((score) => (score === 100 ? "Score 100" : score)) },
    series: { stroke: () => palette.accent, fill: () => palette.area, width: 2, paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } },
    times: false,
    hooks: {},
  }), [[0], [null]], scorePlace);
  charts.lanes = new uPlot(chartOptions(lanesPlace, (LANES.length + DECISIONS_LANE) * LANE_HEIGHT + 50, {
    scales: { y: { range: [-DECISIONS_LANE, LANES.length], dir: -1 } },
    axis: { splits: () => [-DECISIONS_LANE / 2, ...LANES.map((_, lane) => lane + 0.5)], values: () => ["Decisions", ...LANES.map(([name]) => name)], grid: { show: false }, ticks: { show: false } },
    hooks: { draw: [drawSignals, drawDecisions], setCursor: [showTip] },
  }), [[0], [null]], lanesPlace);
  for (const chart of [charts.score, charts.lanes]) {
    chart.over.addEventListener("wheel", (event) => {
      event.preventDefault();
      zoom(event.deltaY > 0 ? 1.25 : 0.8, chart.posToVal(event.offsetX, "x"));
      view.follow = false;
      moved();
    }, { passive: false });
    chart.over.addEventListener("dblclick", () => { zoom(4); view.follow = false; moved(); });
  }
  charts.lanes.over.addEventListener("click", (event) => pickAt(event.offsetX, event.offsetY));
  charts.lanes.over.addEventListener("mouseleave", () => { $("tip").hidden = true; });
}

function redrawCharts() {
  const points = [...facts.decisions].filter((decision) => decision.after).reverse();
  const times = points.map((decision) => decision.at);
  const scores = points.map((decision) => decision.after.score);
  if (points.length) { times.push(Math.max(Date.now(), times.at(-1))); scores.push(scores.at(-1)); }
  charts.score.setData(points.length ? [times, scores] : [[0], [null]], false);
  for (const chart of [charts.score, charts.lanes]) {
    chart.batch(() => chart.setScale("x", { min: view.since, max: view.until }));
    chart.redraw(true, true);
  }
}

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

function band(chart, since, until, fill, least = 0) {
  const { left, top, width, height } = chart.bbox;
  const from = clamp(chart.valToPos(since, "x", true), left, left + width);
  const to = clamp(chart.valToPos(until, "x", true), left, left + width);
  if (until < view.since || since > view.until) return;
  chart.ctx.fillStyle = fill;
  chart.ctx.fillRect(from, top, Math.max(to - from, least), height);
}

/** Behind everything: stripes to follow a lane by, cooldowns, gaps, and what was not loaded. */
function drawBands(chart) {
  const { ctx } = chart;
  ctx.save();
  if (chart === charts.lanes) {
    const { left, width } = chart.bbox;
    const [first, second] = [chart.valToPos(0, "y", true), chart.valToPos(1, "y", true)];
    ctx.fillStyle = palette.stripe;
    for (let lane = 0; lane < LANES.length; lane += 2) ctx.fillRect(left, first + lane * (second - first), width, second - first);
  }
  for (const [since, until] of cooldownSpans()) band(chart, since, until, palette.cooldown);
  for (const gap of facts.gaps) band(chart, gap.since, gap.until, palette.gap, 3);
  if (facts.cutAt !== null) band(chart, view.since, facts.cutAt, palette.unread);
  ctx.restore();
}

function cooldownSpans() {
  const spans = [];
  let since = null;
  for (const decision of [...facts.decisions].reverse()) {
    const resting = decision.after?.temperatureLevel === "COOLDOWN";
    if (resting && since === null) since = decision.at;
    if (!resting && since !== null) { spans.push([since, decision.at]); since = null; }
  }
  if (since !== null) spans.push([since, Math.max(Date.now(), view.until)]);
  return spans;
}

const bins = { columns: 1, counts: new Uint32Array(LANES.length) }; // as they were drawn last, for the tip

/** A mark a pixel column and lane: as tall as there are many, in the color of the worst. */
function drawSignals(chart) {
  const { ctx } = chart;
  const { left, width } = chart.bbox;
  const top = chart.valToPos(0, "y", true);
  const laneHeight = chart.valToPos(1, "y", true) - top;
  const step = Math.max(2, Math.round(devicePixelRatio * 2));
  const columns = Math.ceil(width / step);
  const counts = new Uint32Array(columns * LANES.length);
  const worst = new Uint8Array(columns * LANES.length);
  const scale = columns / (view.until - view.since);
  const rank = { info: 1, warning: 2, error: 3 };
  const [begin, end] = rangeOf(view.since, view.until);
  for (let index = begin; index < end; index += 1) {
    const fact = facts.signals[index];
    const column = Math.min(columns - 1, Math.floor((fact.at - view.since) * scale));
    const cell = fact.lane * columns + column;
    counts[cell] += 1;
    worst[cell] = Math.max(worst[cell], rank[fact.level]);
  }
  Object.assign(bins, { columns, counts });
  const most = counts.reduce((a, b) => Math.max(a, b), 1);
  const colors = [null, palette.info, palette.warning, palette.error];
  ctx.save();
  for (let cell = 0; cell < counts.length; cell += 1) {
    if (!counts[cell]) continue;
    const lane = Math.floor(cell / columns);
    const tall = laneHeight * (0.35 + 0.5 * (Math.log1p(counts[cell]) / Math.log1p(most)));
    ctx.fillStyle = colors[worst[cell]];
    ctx.fillRect(left + (cell % columns) * step, top + (lane + 0.5) * laneHeight - tall / 2, step, tall);
  }
  ctx.restore();
}

function drawDecisions(chart) {
  const { ctx } = chart;
  const { left, top, width, height } = chart.bbox;
  const size = 5 * devicePixelRatio;
  const middle = chart.valToPos(-DECISIONS_LANE / 2, "y", true);
  ctx.save();
  for (const decision of facts.decisions) {
    if (decision.at < view.since || decision.at > view.until) continue;
    const x = clamp(chart.valToPos(decision.at, "x", true), left, left + width);
    const chosen = decision.id === view.decision;
    ctx.fillStyle = palette.decision;
    ctx.beginPath();
    for (const [right, down] of [[0, -1], [1, 0], [0, 1], [-1, 0]]) ctx.lineTo(x + right * size * (chosen ? 1.5 : 1), middle + down * size * (chosen ? 1.5 : 1));
    ctx.fill();
    if (chosen || isTurn(decision)) ctx.fillRect(x, top, chosen ? 2 : 1, height);
  }
  ctx.restore();
}

/** A decision that moved the instance into or out of its cooldown. */
const isTurn = (decision) => (decision.before?.temperatureLevel === "COOLDOWN") !== (decision.after?.temperatureLevel === "COOLDOWN");

/** Picks what is nearest to a click: a decision at the top edge, else a signal of the lane, else a gap. */
function pickAt(x, y) {
  const chart = charts.lanes;
  const at = chart.posToVal(x, "x");
  const reach = (view.until - view.since) * (6 / chart.over.clientWidth);
  const nearest = (list) => list.reduce((best, one) => (Math.abs(one.at - at) < Math.abs((best?.at ?? Infinity) - at) ? one : best), null);
  const close = facts.decisions.filter((decision) => Math.abs(decision.at - at) <= reach);
  const decision = nearest(close.filter(isTurn)) ?? nearest(close);
  const lane = Math.floor(chart.posToVal(y, "y"));
  if (lane < 0) return decision ? showDecision(decision.id) : undefined;
  const signal = nearest(facts.signals.slice(...rangeOf(at - reach, at + reach)).filter((fact) => fact.lane === lane));
  if (signal) return showSignal(signal);
  const gap = gapAt(at, reach);
  return gap ? showGap(gap) : undefined;
}

const gapAt = (at, reach) => facts.gaps.find((one) => one.since - reach <= at && at <= one.until + reach);

/** What lies under the pointer, in words: the time, and how many of which kind. */
function showTip(chart) {
  const { left, top } = chart.cursor;
  const tip = $("tip");
  tip.hidden = left < 0 || top < 0 || chart !== charts.lanes;
  if (tip.hidden) return;
  const at = chart.posToVal(left, "x");
  const reach = (view.until - view.since) * (6 / chart.over.clientWidth);
  const lane = Math.floor(chart.posToVal(top, "y"));
  const words = [clockText(at, view.until - view.since < 10 * MINUTE)];
  const gap = gapAt(at, 0);
  if (lane < 0) {
    const decision = facts.decisions.find((one) => Math.abs(one.at - at) <= reach);
    if (decision) words.push(isTurn(decision) ? `${decision.before.temperatureLevel} → ${decision.after.temperatureLevel}` : `decision, score ${decision.after.score}`);
  } else if (LANES[lane]) {
    const column = Math.floor((left / chart.over.clientWidth) * bins.columns);
    let count = 0;
    for (let near = Math.max(0, column - 2); near <= Math.min(bins.columns - 1, column + 2); near += 1) count += bins.counts[lane * bins.columns + near];
    if (count) words.push(`${LANES[lane][0].toLowerCase()}: ${count}`);
  }
  if (gap) words.push(`gap: ${gap.count} facts lost`);
  tip.textContent = words.join(" · ");
  tip.style.left = `${clamp(chart.over.offsetLeft + left, 90, chart.over.offsetLeft + chart.over.clientWidth - 90)}px`;
}
