/* Wiring: what the user does, what comes live, and when to draw. */

const LOAD_DELAY = 200;
const ROWS_DELAY = 100; // charts follow every frame, rows when the view rests
const STATE_EVERY = 10e3;
const LISTEN_AGAIN = 5e3;
let loadTimer = 0;
let drawWanted = false;
let rowsTimer = 0;
let movedAt = 0;
let started = false;
let events = null;

function draw() {
  if (drawWanted) return;
  drawWanted = true;
  requestAnimationFrame(() => {
    drawWanted = false;
    const busy = !started || loadTimer !== 0 || facts.loading !== null;
    if (busy) $("timeline").setAttribute("aria-busy", busy);
    redrawCharts();
    showCount(busy);
    clearTimeout(rowsTimer);
    rowsTimer = setTimeout(() => {
      showRows(busy);
      $("timeline").setAttribute("aria-busy", busy);
    }, performance.now() - movedAt < ROWS_DELAY ? ROWS_DELAY : 0);
  });
}

/** The span moved: draw what is there at once, load what is missing a moment later. */
function moved() {
  rowsShown = ROWS_STEP;
  movedAt = performance.now();
  $("timeline").setAttribute("aria-busy", true);
  $("follow").setAttribute("aria-pressed", view.follow);
  for (const button of $("ranges").children) button.setAttribute("aria-pressed", Math.abs(view.until - view.since - button.value) < 1);
  writeAddressSoon();
  clearTimeout(loadTimer);
  loadTimer = 0;
  if (view.instance && !isLoaded()) loadTimer = setTimeout(() => { loadTimer = 0; attempt(() => load(draw)); }, LOAD_DELAY);
  draw();
}

function selected() {
  writeAddress();
  draw();
}

/** Another instance: everything about the old one goes. */
function opened() {
  $("instance-name").textContent = view.instance === null ? "No number yet" : plainId(view.instance);
  $("instance-name").title = view.instance ?? "";
  document.title = view.instance ? `${view.instance} · Reputation timeline` : "Reputation timeline";
  detail("Details", make("p", { className: "quiet", textContent: "Pick a signal, a gap or a decision." }));
  notify("");
  listen();
  moved();
  attempt(showState);
  if (view.decision) attempt(() => showDecision(view.decision));
}

function listen(missed = false) {
  events?.close();
  if (!view.instance) return;
  const source = new EventSource(`/v1/stream?${new URLSearchParams({ instanceId: view.instance })}`);
  events = source;
  events.addEventListener("signal", ({ data }) => {
    const fact = JSON.parse(data);
    const fits = Object.entries(view.filters).every(([name, words]) => !words.size || words.has(fact[name]));
    if (!fits) return;
    addLive(fact);
    draw();
  });
  events.addEventListener("decision", ({ data }) => {
    const decision = withTime(JSON.parse(data));
    setDecisions([decision, ...facts.decisions.filter((one) => one.id !== decision.id)]);
    draw();
    attempt(showState);
  });
  events.addEventListener("error", () => {
    missed = true;
    $("live-lost").hidden = false;
    // A refusal (too many streams) ends an EventSource for good; a broken connection it mends itself.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => source === events && listen(true), LISTEN_AGAIN);
  });
  events.addEventListener("open", () => {
    $("live-lost").hidden = true;
    if (missed) { facts.key = ""; moved(); } // the timeline knows what the stream missed
    missed = false;
  });
}

function tick() {
  if (!view.follow || document.hidden) return;
  const now = Date.now();
  setSpan(now - (view.until - view.since), now);
  draw();
}

function buildControls() {
  $("ranges").append(...RANGES.map(([textContent, value]) => make("button", { type: "button", textContent, value })));
  $("ranges").addEventListener("click", ({ target }) => {
    if (!target.value) return;
    view.follow = true;
    setSpan(Date.now() - Number(target.value), Date.now());
    moved();
  });
  for (const [name, words] of Object.entries(FILTERS)) {
    const boxes = words.map((word) => make("label", {}, make("input", { type: "checkbox", name, value: word, checked: view.filters[name].has(word) }), ` ${word}`));
    $("filter-form").append(make("fieldset", {}, make("legend", { textContent: name }), ...boxes));
  }
  $("filter-form").addEventListener("change", ({ target }) => {
    view.filters[target.name][target.checked ? "add" : "delete"](target.value);
    moved();
  });
  $("follow").addEventListener("click", toggleFollow);
  $("share").addEventListener("click", () => attempt(share));
  $("more").addEventListener("click", () => { rowsShown += ROWS_STEP; draw(); });
  $("export").addEventListener("click", ({ target }) => target.dataset.form && attempt(() => exportAs(target.dataset.form)));
  $("search").addEventListener("input", showFleet);
  $("instances").addEventListener("click", ({ target }) => {
    const item = target.closest("li");
    if (item) choose(item.dataset.instance);
  });
  const pickRow = ({ target }) => {
    const id = target.closest("tr")?.dataset.signal;
    const fact = facts.signals.find((one) => one.id === id);
    if (fact) showSignal(fact);
  };
  $("rows").addEventListener("click", pickRow);
  $("rows").addEventListener("keydown", (event) => event.key === "Enter" && pickRow(event));
  $("detail").addEventListener("click", ({ target }) => target.dataset.go && attempt(() => goToSignal(target.dataset.go)));
}

function toggleFollow() {
  view.follow = !view.follow;
  if (view.follow) setSpan(Date.now() - (view.until - view.since), Date.now());
  moved();
  writeAddress();
}

async function share() {
  writeAddress();
  await navigator.clipboard?.writeText(location.href).catch(() => {});
  notify("The link in the address bar shows this view; it was copied.");
  setTimeout(() => notify(""), 3000);
}

const KEYS = {
  ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2), "+": () => zoomKey(0.5), "=": () => zoomKey(0.5), "-": () => zoomKey(2),
  Home: () => { view.follow = false; toggleFollow(); },
};

function pan(share) {
  const step = (view.until - view.since) * share;
  view.follow = false;
  setSpan(view.since + step, view.until + step);
  moved();
}

function zoomKey(factor) {
  zoom(factor);
  view.follow = false;
  moved();
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches("input, textarea, select");
  let used = true;
  if (event.key === "Escape") document.querySelectorAll("details[open]").forEach((one) => { one.open = false; });
  else if (event.target.closest("#fleet") && ["ArrowDown", "ArrowUp"].includes(event.key)) chooseNeighbour(event.key === "ArrowDown" ? 1 : -1);
  else if (typing) used = false;
  else if (event.key === "/") $("search").focus();
  else if (event.key === "f") toggleFollow();
  else if (event.target.closest("#lanes-chart") && KEYS[event.key]) KEYS[event.key]();
  else used = false;
  if (used) event.preventDefault();
}

async function start() {
  readAddress();
  buildControls();
  makeCharts();
  document.addEventListener("keydown", onKey);
  const resize = () => { for (const [chart, place] of [[charts.score, $("score-chart")], [charts.lanes, $("lanes-chart")]]) chart.setSize({ width: place.clientWidth, height: chart.height }); draw(); };
  new ResizeObserver(resize).observe($("timeline"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readPalette(); draw(); });
  addEventListener("hashchange", () => { readAddress(); showFleet(); opened(); });
  await attempt(loadFleet);
  view.instance ??= fleet[0]?.instanceId ?? null;
  showFleet();
  started = true;
  opened();
  setInterval(tick, 1000);
  setInterval(() => document.hidden || attempt(loadFleet), FLEET_EVERY);
  setInterval(() => document.hidden || !view.follow || attempt(showState), STATE_EVERY);
}

start();
