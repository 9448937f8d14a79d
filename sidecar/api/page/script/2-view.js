/* What is looked at: instance, span, filters, selection. The address holds it, so that a link shows the same. */

const MINUTE = 60e3;
const RANGES = [["15 min", 15 * MINUTE], ["1 h", 60 * MINUTE], ["6 h", 360 * MINUTE], ["24 h", 1440 * MINUTE], ["7 d", 10080 * MINUTE], ["30 d", 43200 * MINUTE]];
const SPAN_MIN = 1000;
const SPAN_MAX = 400 * 1440 * MINUTE;

const LANES = [
  ["Sends", ["MESSAGE_SENT", "REACTION_SENT", "SEND_LATENCY_OBSERVED"]],
  ["Receipts", ["MESSAGE_DELIVERED", "MESSAGE_READ"]],
  ["Replies", ["MESSAGE_REPLIED"]],
  ["Failures", ["MESSAGE_FAILED"]],
  ["Limits", ["RATE_LIMIT_HIT"]],
  ["Connection", ["CONNECTION_CONNECTED", "CONNECTION_DISCONNECTED", "CONNECTION_ERROR", "QRCODE_REGENERATED"]],
  ["Presence", ["PRESENCE_SET"]],
];
const LANE_OF = Object.fromEntries(LANES.flatMap(([, types], lane) => types.map((type) => [type, lane])));
const FILTERS = {
  type: LANES.flatMap(([, types]) => types),
  severity: ["LOW", "MEDIUM", "HIGH"],
  source: ["DISPATCH", "WEBHOOK", "PROVIDER"],
};

const view = {
  instance: null,
  since: Date.now() - 60 * MINUTE,
  until: Date.now(),
  follow: true,
  filters: { type: new Set(), severity: new Set(), source: new Set() },
  decision: null,
  signal: null,
};

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  view.instance = given.get("instance");
  view.decision = given.get("decision");
  view.signal = given.get("signal");
  for (const name of Object.keys(FILTERS)) {
    const words = (given.get(name) ?? "").split(",");
    view.filters[name] = new Set(words.filter((word) => FILTERS[name].includes(word)));
  }
  const [since, until, last] = ["since", "until", "last"].map((name) => Number(given.get(name)));
  view.follow = !(since && until > since);
  if (view.follow) setSpan(Date.now() - (last || 60 * MINUTE), Date.now());
  else setSpan(since, until);
}

function writeAddress() {
  const given = new URLSearchParams();
  if (view.instance) given.set("instance", view.instance);
  if (view.follow) given.set("last", Math.round(view.until - view.since));
  else {
    given.set("since", Math.round(view.since));
    given.set("until", Math.round(view.until));
  }
  for (const [name, words] of Object.entries(view.filters)) if (words.size) given.set(name, [...words].join(","));
  if (view.decision) given.set("decision", view.decision);
  if (view.signal) given.set("signal", view.signal);
  const address = `#${given}`;
  if (address !== location.hash) history.replaceState(null, "", address);
}

const ADDRESS_EVERY = 300; // browsers refuse more than a hundred or two within half a minute
let addressTimer = 0;

/** While a wheel turns the address follows a few times a second. */
function writeAddressSoon() {
  if (addressTimer) return;
  writeAddress();
  addressTimer = setTimeout(() => { addressTimer = 0; writeAddress(); }, ADDRESS_EVERY);
}

function setSpan(since, until) {
  const span = Math.min(SPAN_MAX, Math.max(SPAN_MIN, until - since));
  const middle = (since + until) / 2;
  view.since = Math.max(0, until - since === span ? since : middle - span / 2);
  view.until = view.since + span;
}

/** Zooms by `factor` around `at`, which stays where it is on the screen. */
function zoom(factor, at = (view.since + view.until) / 2) {
  const span = Math.min(SPAN_MAX, Math.max(SPAN_MIN, (view.until - view.since) * factor));
  const share = (at - view.since) / (view.until - view.since);
  setSpan(at - span * share, at + span * (1 - share));
}

const filterQuery = () => Object.fromEntries(Object.entries(view.filters).map(([name, words]) => [name, [...words].join(",")]));
