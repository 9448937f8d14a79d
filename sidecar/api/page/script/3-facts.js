/* What was loaded: signals newest first, gaps, decisions. Loading streams, so the first marks show at once. */

const FACTS_MAX = 200_000; // about 150 MB in the browser; beyond it the page says what is missing
const DECISIONS_MAX = 2000;
const LOAD_MARGIN = 0.5; // load half a span more on both sides, so that small moves ask nothing

const nothing = () => ({ key: "", since: 0, until: 0, cutAt: null, signals: [], ids: new Set(), gaps: [], decisions: [] });
const facts = { ...nothing(), loading: null };
let fresh = null; // what is being loaded; it takes the place of `facts` with its first lines, so that nothing flickers

const factsKey = () => JSON.stringify([view.instance, filterQuery()]);

function isLoaded() {
  const inside = facts.key === factsKey() && view.since >= facts.since && view.until <= facts.until;
  return inside && (facts.cutAt === null || view.since >= facts.cutAt);
}

function addSignals(into, signals) {
  for (const signal of signals) {
    if (into.ids.has(signal.id)) continue;
    into.ids.add(signal.id);
    signal.at = Date.parse(signal.occurredAt);
    signal.lane = LANE_OF[signal.type] ?? 0;
    into.signals.push(signal);
  }
}

const waiting = []; // live facts that came while the rest was loading

/** Puts a live fact in its place, nearly always the first. The oldest give way, so that a tab can stay open for days. */
function addLive(signal) {
  if (fresh) return void waiting.push(signal);
  if (facts.ids.has(signal.id)) return undefined;
  addSignals(facts, [signal]);
  const { signals } = facts;
  signals.pop();
  signals.splice(firstAtOrBefore(signal.at, signals), 0, signal);
  while (signals.length > FACTS_MAX) {
    facts.ids.delete(signals.pop().id);
    facts.cutAt = signals.at(-1).at;
  }
  return undefined;
}

async function load(onProgress) {
  facts.loading?.abort();
  const loading = new AbortController();
  facts.loading = loading;
  const margin = (view.until - view.since) * LOAD_MARGIN;
  const since = Math.max(0, Math.floor(view.since - margin));
  const until = Math.ceil(view.until + (view.follow ? 7 * 86400e3 : margin));
  const instance = view.instance;
  const key = factsKey();
  fresh = { ...nothing(), key, since, until };
  if (facts.key !== key) Object.assign(facts, fresh); // another question: what was shown is no answer to it
  const query = { since, until, order: "desc", ...filterQuery() };
  const { signal } = loading;
  try {
    await loadAll(fresh, instance, query, signal, onProgress);
  } catch (problem) {
    if (facts.loading === loading) facts.key = ""; // half an answer is none: the next move asks again
    throw problem;
  } finally {
    if (facts.loading === loading) {
      facts.loading = fresh = null;
      waiting.splice(0).forEach(addLive);
    }
    onProgress();
  }
}

async function loadAll(into, instance, query, signal, onProgress) {
  const decisions = loadDecisions(instance, query.since, query.until, signal);
  const response = await ask(instancePath(instance, "timeline"), { query, accept: "application/x-ndjson", signal });
  await readLines(response, (lines) => {
    if (signal.aborted) return false;
    into.gaps.push(...lines.filter((line) => line.gap).map(({ gap }) => ({ ...gap, since: Date.parse(gap.from), until: Date.parse(gap.to) })));
    addSignals(into, lines.filter((line) => !line.gap));
    if (into.signals.length >= FACTS_MAX) into.cutAt = into.signals.at(-1).at;
    Object.assign(facts, into, { decisions: facts.decisions });
    onProgress();
    return into.cutAt === null;
  });
  const found = await decisions;
  if (signal.aborted) return;
  Object.assign(facts, into);
  setDecisions(found);
}

async function loadDecisions(instance, since, until, signal) {
  const path = instancePath(instance, "decisions");
  const found = [];
  let cursor = "";
  do {
    const page = await askIfThere(path, { query: { since, until, limit: 500, cursor }, signal });
    if (page === null) return found;
    found.push(...page.decisions.map(withTime));
    cursor = page.nextCursor;
  } while (cursor && found.length < DECISIONS_MAX);
  // The score at the left edge is that of the last decision before it.
  const earlier = cursor || since < 1 ? null : await askIfThere(path, { query: { until: since - 1, limit: 1 }, signal });
  return [...found, ...(earlier?.decisions ?? []).map(withTime)];
}

/** Newest first; those that a later one corrected are left to the API. */
function setDecisions(decisions) {
  const corrected = new Set(decisions.map((decision) => decision.supersedes));
  facts.decisions = decisions.filter((decision) => !corrected.has(decision.id)).sort((one, other) => other.at - one.at);
}

const withTime = (decision) => ({ ...decision, at: Date.parse(decision.evaluatedAt) });

/** Index of the first signal at or before `at`; signals stand newest first. */
function firstAtOrBefore(at, signals = facts.signals) {
  let low = 0;
  let high = signals.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (signals[middle].at > at) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Where the signals of a span stand: from this index up to that one. */
const rangeOf = (since, until) => [firstAtOrBefore(until), firstAtOrBefore(since - 1)];
