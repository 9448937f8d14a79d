/* The right: state with its reasons, signals in view, and the evidence of what was picked. */

const ROWS_STEP = 200;
let rowsShown = ROWS_STEP;

const chip = (name, value, className = "") => make("span", { className: `chip ${className}` }, `${name} `, make("b", { textContent: value }));
const number = (value) => (typeof value === "number" ? String(+value.toFixed(3)) : String(value));

const COOLDOWN_LEAST = 3600e3; // a rest lasts an hour at least, and goes on while a condition holds

async function showState() {
  const instance = view.instance;
  const line = fleet.find((one) => one.instanceId === instance);
  const health = instance ? await askIfThere(instancePath(instance, "reputation")) : null;
  if (instance !== view.instance) return undefined; // another one was chosen meanwhile
  if (health === null && !line) return $("state").replaceChildren(make("p", { className: "quiet", textContent: instance ? "Nothing is known of this number yet." : "Numbers appear here with their first signal." }));
  const state = health ? { ...line, ...health, ...health.status, score: health.reputationScore } : line;
  const chips = [
    chip("level", state.temperatureLevel, state.temperatureLevel === "COOLDOWN" ? "error" : ""),
    chip("trend", state.trend),
    chip("risk", state.riskLevel, { HIGH: "error", MEDIUM: "warning" }[state.riskLevel] ?? "good"),
    chip("lifecycle", state.lifecycle),
    chip("connection", state.connection, state.connection === "CONNECTED" ? "good" : "warning"),
  ];
  if (state.warmUpPhase) chips.push(chip("phase", state.warmUpPhase));
  if (state.cooldownCount) chips.push(chip("cooldowns so far", state.cooldownCount));
  if (health?.pendingPoints) chips.push(chip("pending points", signed(health.pendingPoints)));
  const score = make("div", { className: `dial need-${need({ ...line, ...state })}`, title: "Reputation score, 0 to 100" }, make("b", { textContent: state.score }), make("span", { textContent: "of 100" }));
  score.style.setProperty("--share", `${state.score}%`);
  const parts = [make("div", { className: "hero" }, score, make("div", {}, ...verdict(state), make("div", { className: "chips" }, ...chips)))];
  if (health) {
    const alerts = health.alerts.map((alert) => make("li", { className: { LOW: "", MEDIUM: "warning" }[alert.severity] ?? "error" }, make("b", { textContent: alert.code }), ` ${alert.message}`));
    const rules = health.explanation.length ? rulesTable(health.explanation) : make("p", { className: "quiet", textContent: "No rule fires." });
    parts.push(make("div", { className: "why" }, make("div", { tabIndex: 0 }, make("h3", { textContent: "Rules that fire" }), rules),
      make("div", {}, make("h3", { textContent: alerts.length ? "Alerts, and what was counted" : "What was counted" }), make("ul", { className: "alerts" }, ...alerts), snapshotList(health.signalsSnapshot))));
  }
  return $("state").replaceChildren(...parts);
}

/** The state in a sentence, and the comparison behind it; only what the evaluation says of itself. */
function verdict(state) {
  const lines = [];
  const since = state.cooldownStartedAt && Date.parse(state.cooldownStartedAt);
  if (state.lifecycle === "BANNED") lines.push(["Banned by WhatsApp, as an operator said."]);
  else if (state.cooldownReason) lines.push(["Resting for ", make("b", { textContent: state.cooldownReason }), since ? ` since ${clockText(since)} (${agoText(since)})` : ""]);
  else if (state.connection !== "CONNECTED") lines.push([`Not known to be connected: ${state.connection}`]);
  else if (state.riskLevel !== "LOW") lines.push([`At ${state.riskLevel.toLowerCase()} risk, but no rule asks for a rest`]);
  else lines.push(["Well: no rule asks for a rest"]);
  const behind = (state.explanation ?? []).find((rule) => state.cooldownReason && rule.points === 0);
  if (behind) lines.push([behind.conditions.map(({ measure, op, threshold, observed }) => `${measure} is ${number(observed)} (${op} ${number(threshold)})`).join(", ")]);
  if (state.cooldownReason && since) lines.push([`Ends ${clockText(since + COOLDOWN_LEAST)} at the earliest, at the first moment when no condition holds`]);
  return lines.map((words, index) => make("p", { className: index ? "quiet" : "verdict" }, ...words));
}

const signed = (points) => `${points > 0 ? "+" : "−"}${Math.abs(points)}`;

/** What fired, in the numbers that were compared: every condition of a rule on a line of its own. */
function rulesTable(explanation) {
  const cells = (tag, texts) => make("tr", {}, ...texts.map((text) => make(tag, {}, ...[text].flat())));
  const lines = (rule, text) => rule.conditions.map((condition) => make("div", { textContent: text(condition) }));
  // Reasons to rest give no points; they answer the question that is asked first.
  const ordered = [...explanation].sort((one, other) => (one.points !== 0) - (other.points !== 0));
  const rows = ordered.map((rule) => cells("td", [
    make("b", { textContent: rule.id }),
    lines(rule, ({ measure, op, threshold }) => `${measure} ${op} ${number(threshold)}`),
    lines(rule, ({ observed }) => number(observed)),
    rule.points ? signed(rule.points) : "rest",
  ]));
  return make("table", { className: "rules" }, make("thead", {}, cells("th", ["Rule", "Threshold", "Observed", "Points"])), make("tbody", {}, ...rows));
}

function snapshotList(snapshot) {
  const chips = Object.entries(snapshot).filter(([, value]) => typeof value === "number" && value !== 0).map(([name, value]) => chip(name, number(value)));
  return make("div", { className: "chips quiet" }, ...(chips.length ? chips : ["Nothing was counted in the window."]));
}

/** Says how much is in view; cheap, with every frame. */
function showCount(busy) {
  const [from, to] = rangeOf(view.since, view.until);
  const cut = facts.cutAt !== null && view.since < facts.cutAt ? `; only the newest ${FACTS_MAX.toLocaleString("en")} are loaded, zoom in for the rest` : "";
  $("shown").textContent = `${(to - from).toLocaleString("en")} signals in ${spanText(view.until - view.since)}${busy ? ", loading…" : ""}${cut}`;
}

/** The newest signals in view, as rows; when the view rests. */
function showRows(busy) {
  const [from, to] = rangeOf(view.since, view.until);
  const oneDay = clockText(view.since).slice(0, 10) === clockText(view.until).slice(0, 10);
  const rows = facts.signals.slice(from, Math.min(to, from + rowsShown)).map((fact) => {
    const row = make("tr", { className: fact.level, dataset: { signal: fact.id }, tabIndex: 0 },
      make("td", { textContent: clockText(fact.at, true).slice(oneDay ? 11 : 0), title: fact.occurredAt }), make("td", { textContent: fact.summary }),
      make("td", { textContent: fact.source }), make("td", { className: "mono", textContent: fact.messageId ?? "" }));
    row.setAttribute("aria-selected", fact.id === view.signal);
    return row;
  });
  const filtered = Object.values(view.filters).some((words) => words.size);
  const none = make("p", { className: "quiet empty", textContent: busy ? "Loading…" : filtered ? "Nothing in this span passes the filter." : "Nothing happened in this span. Zoom out, or choose a longer range." });
  $("rows").replaceChildren(...rows);
  $("no-rows").replaceChildren(...(rows.length ? [] : [none]));
  $("more").hidden = to - from <= rowsShown;
}

function detail(title, ...parts) {
  $("detail").replaceChildren(make("h3", { textContent: title }), ...parts);
}

const facet = (pairs) => make("dl", {}, ...pairs.flatMap(([name, value]) => [make("dt", { textContent: name }), make("dd", { textContent: value })]));

function showSignal(fact) {
  Object.assign(view, { signal: fact.id, decision: null });
  const { at, lane, summary, level, context, ...shown } = fact;
  detail(summary, facet([...Object.entries(shown), ...Object.entries(context)]));
  selected();
}

function showGap(gap) {
  Object.assign(view, { signal: null, decision: null });
  detail("Gap: facts were lost", facet([["from", gap.from], ["to", gap.to], ["facts lost", gap.count], ["reason", gap.reason]]));
  selected();
}

async function showDecision(id) {
  Object.assign(view, { signal: null, decision: id });
  selected();
  const decision = facts.decisions.find((one) => one.id === id) ?? (await askIfThere(`/v1/decisions/${encodeURIComponent(id)}`));
  if (!decision) return detail("Decision", make("p", { textContent: "This decision is not known." }));
  const { before, after } = decision;
  const change = (name) => (before && before[name] !== after[name] ? `${before[name] ?? "–"} → ${after[name] ?? "–"}` : String(after[name] ?? "–"));
  const links = (decision.signalIds ?? []).map((signal) => make("button", { type: "button", textContent: signal.slice(0, 8), title: signal, dataset: { go: signal } }));
  const behind = decision.explanation.reduce((sum, rule) => sum + rule.signals, 0);
  const replay = make("button", { type: "button", textContent: "Replay from the stored signals" });
  const verdict = make("p", { className: "quiet", role: "status" });
  replay.addEventListener("click", () => attempt(async () => {
    const again = await askJson(`/v1/decisions/${encodeURIComponent(id)}`, { query: { replay: "true" } });
    verdict.textContent = again.reproduced === true ? "Reproduced: the same facts give the same decision." : `Differs: ${JSON.stringify(again.differences)}`;
  }));
  return detail(`Decision at ${clockText(Date.parse(decision.evaluatedAt), true)}`,
    facet([["score", change("score")], ["level", change("temperatureLevel")], ["trend", change("trend")], ["cooldown", change("cooldownReason")], ["reason", decision.reason], ["rule set", decision.ruleSet]]),
    ...(decision.explanation?.length ? [rulesTable(decision.explanation)] : [make("p", { className: "quiet", textContent: "No rule fired." })]),
    ...(links.length ? [make("h3", { textContent: `Signals behind it, the newest ${links.length} of ${behind}` }), make("div", { className: "links" }, ...links)] : []),
    replay, verdict);
}

async function goToSignal(id) {
  const fact = facts.signals.find((one) => one.id === id);
  if (!fact) return notify("This signal is outside of what is loaded; zoom out to see it.");
  if (fact.at < view.since || fact.at > view.until) { view.follow = false; setSpan(fact.at - 30e3, fact.at + 30e3); moved(); }
  showSignal(fact);
  return $("rows").querySelector(`[data-signal="${CSS.escape(id)}"]`)?.scrollIntoView({ block: "center" });
}

async function exportAs(form) {
  const query = { since: Math.floor(view.since), until: Math.ceil(view.until), ...filterQuery() };
  const body = await (await ask(instancePath(view.instance, "timeline"), { query, accept: form })).blob();
  const name = `${view.instance.replace(/[^\w.-]+/g, "_")}.${form === "text/csv" ? "csv" : "ndjson"}`;
  const link = make("a", { href: URL.createObjectURL(body), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60e3);
}
