/* What was loaded: signals newest first, gaps, decisions. Loading streams, so the first marks show at once. */

const FACTS_MAX = 200_000; // about 150 MB in the browser; beyond it the page says what is missing
const DECISIONS_MAX = 2000;
const LOAD_MARGIN = 0.5; // load half a span more on both sides, so that small moves ask nothing

const facts = { key: "", since: 0, until: 0, cutAt: null, signals: [], ids: new Set(), gaps: [], decisions: [], loading: null };

const factsKey = () => JSON.stringify([view.instance, filterQuery()]);

function isLoaded() {
  const inside = facts.key === factsKey() && view.since >= facts.since && view.until <= facts.until;
  return inside && (facts.cutAt === null || view.since >= facts.cutAt);
}

function addSignals(signals) {
  for (const signal of signals) {
    if (facts.ids.has(signal.id)) continue;
    facts.ids.add(signal.id);
    signal.at = Date.parse(signal.occurredAt);
    signal.lane = LANE_OF[signal.type] ?? 0;
    facts.signals.push(signal);
  }
}

/** Newest first, arrival order kept among equals: late and live facts are put in their place. */
function sortSignals() {
  facts.signals.sort((one, other) => other.at - one.at);
}

async function load(onProgress) {
  facts.loading?.abort();
  const loading = new AbortController();
  facts.loading = loading;
  const margin = (view.until - view.since) * LOAD_MARGIN;
  const since = Math.max(0, Math.floor(view.since - margin));
  const until = Math.ceil(view.until + (view.follow ? 7 * 86400e3 : margin));
  const instance = view.instance;
  Object.assign(facts, { key: factsKey(), since, until, cutAt: null, signals: [], ids: new Set(), gaps: [], decisions: [] });
  const query = { since, until, order: "desc", ...filterQuery() };
  const { signal } = loading;
  try {
    await loadAll(instance, query, signal, onProgress);
  } finally {
    if (facts.loading === loading) facts.loading = null;
    onProgress();
  }
}

async function loadAll(instance, query, signal, onProgress) {
  const decisions = loadDecisions(instance, query.since, query.until, signal);
  const response = await ask(instancePath(instance, "timeline"), { query, accept: "application/x-ndjson", signal });
  await readLines(response, (lines) => {
    if (signal.aborted) return false;
    facts.gaps.push(...lines.filter((line) => line.gap).map(({ gap }) => ({ ...gap, since: Date.parse(gap.from), until: Date.parse(gap.to) })));
    addSignals(lines.filter((line) => !line.gap));
    onProgress();
    if (facts.signals.length < FACTS_MAX) return true;
    facts.cutAt = facts.signals.at(-1).at;
    return false;
  });
  const found = await decisions;
  if (!signal.aborted) setDecisions(found);
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
function firstAtOrBefore(at) {
  let low = 0;
  let high = facts.signals.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (facts.signals[middle].at > at) low = middle + 1;
    else high = middle;
  }
  return low;
}

const inView = () => facts.signals.slice(firstAtOrBefore(view.until), firstAtOrBefore(view.since - 1));
