/* The left: every instance, those that need attention first. */

const FLEET_EVERY = 15e3;
const SHOWN_MAX = 2000;
let fleet = [];

/** 3 resting or at high risk, 2 not connected, 1 at some risk, 0 well. */
function need(line) {
  if (line.lifecycle === "BANNED" || line.cooldownReason || line.riskLevel === "HIGH") return 3;
  if (["DISCONNECTED", "ERROR", "QRCODE"].includes(line.connection)) return 2;
  return line.riskLevel === "MEDIUM" ? 1 : 0;
}

async function loadFleet() {
  const found = [];
  let cursor = "";
  do {
    const page = await askJson("/v1/instances", { query: { limit: 1000, cursor } });
    found.push(...page.instances);
    cursor = page.nextCursor;
  } while (cursor && found.length < SHOWN_MAX);
  fleet = found.map((line) => ({ ...line, need: need(line) }));
  fleet.sort((one, other) => other.need - one.need || one.score - other.score || one.instanceId.localeCompare(other.instanceId));
  showFleet();
}

function showFleet() {
  const wanted = $("search").value.trim().toLowerCase();
  const lines = fleet.filter((line) => line.instanceId.toLowerCase().includes(wanted));
  const needy = fleet.filter((line) => line.need).length;
  $("fleet-count").textContent = wanted ? `${lines.length} of ${fleet.length}` : needy ? `${needy} of ${fleet.length} need attention` : `${fleet.length}, all well`;
  $("fleet-empty").textContent = fleet.length ? "No number matches." : "No signal was recorded yet. A number appears with its first.";
  $("fleet-empty").hidden = lines.length > 0;
  $("instances").replaceChildren(...lines.map((line, index) => {
    const chosen = line.instanceId === view.instance;
    const words = line.lifecycle === "BANNED" ? "banned" : line.cooldownReason ? `resting: ${line.cooldownReason}` : line.connection === "CONNECTED" ? line.temperatureLevel.toLowerCase() : line.connection.toLowerCase();
    const trend = { UP: " ↗", DOWN: " ↘" }[line.trend] ?? "";
    const item = make("li", { id: `instance-${index}`, className: `need-${line.need}`, role: "option", dataset: { instance: line.instanceId } },
      make("bdi", { className: "name", textContent: plainId(line.instanceId), title: line.instanceId }),
      make("span", { className: "score", textContent: `${line.score}${trend}`, title: "Score and trend" }),
      make("span", { className: "sub", textContent: words }),
      make("span", { className: "ago quiet", textContent: agoText(line.lastSignalAt && Date.parse(line.lastSignalAt)), title: "Last signal" }));
    item.setAttribute("aria-selected", chosen);
    if (chosen) $("instances").setAttribute("aria-activedescendant", item.id);
    return item;
  }));
}

function chooseNeighbour(step) {
  const items = [...$("instances").children];
  const at = items.findIndex((item) => item.dataset.instance === view.instance);
  const next = items[clamp(at + step, 0, items.length - 1)];
  if (!next) return;
  choose(next.dataset.instance);
  $("instances").querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
}

function choose(instance) {
  if (instance === view.instance) return;
  Object.assign(view, { instance, decision: null, signal: null });
  showFleet();
  opened();
}
