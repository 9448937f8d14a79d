/* Small tools: elements made without markup, times, and the one way to ask the API. */

const $ = (id) => document.getElementById(id);

function make(tag, options = {}, ...children) {
  const { dataset, ...properties } = options;
  const element = Object.assign(document.createElement(tag), properties);
  if (dataset) Object.assign(element.dataset, dataset);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const pad = (number, digits = 2) => String(number).padStart(digits, "0");

/** UTC, with milliseconds only where the view is fine enough to need them. */
function clockText(at, fine = false) {
  const text = new Date(at).toISOString();
  return `${text.slice(0, 10)} ${text.slice(11, fine ? 23 : 19)}`;
}

/** An id as it is: characters that hide or turn text around are written out, so that no id can pose as another. */
const plainId = (id) => id.replace(/[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g, (one) => `\\u${one.codePointAt(0).toString(16)}`);

function spanText(ms) {
  const units = [[86400e3, "d"], [3600e3, "h"], [60e3, "min"], [1e3, "s"], [1, "ms"]];
  const [size, name] = units.find(([size]) => ms >= size) ?? units.at(-1);
  return `${+(ms / size).toFixed(1)} ${name}`;
}

/** How long ago, in one unit; nothing for what never was. */
const agoText = (at) => (at ? `${spanText(Math.max(1000, Math.round((Date.now() - at) / 1000) * 1000)).replace(/\.\d+/, "")} ago` : "");

class ApiProblem extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

async function ask(path, { query = {}, accept = "application/json", signal } = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const text = new URLSearchParams(given).toString();
  const response = await fetch(text ? `${path}?${text}` : path, { headers: { Accept: accept }, signal });
  if (response.ok) return response;
  if (response.status === 401) location.reload(); // the session ended: the page becomes the sign-in form
  const body = await response.json().catch(() => ({}));
  throw new ApiProblem(response.status, body.error?.code, body.error?.message ?? `the sidecar answered ${response.status}`);
}

const askJson = async (path, options) => (await ask(path, options)).json();

/** What some sidecars do not serve is null, not an error. */
async function askIfThere(path, options) {
  try {
    return await askJson(path, options);
  } catch (problem) {
    if (problem instanceof ApiProblem && [404, 410].includes(problem.status)) return null;
    throw problem;
  }
}

const instancePath = (id, rest) => `/v1/instances/${encodeURIComponent(id)}/${rest}`;

/** Reads NDJSON as it comes; `take` gets arrays of objects and may return false to stop. */
async function readLines(response, take) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    const lines = (rest + (value ?? "")).split("\n");
    rest = done ? "" : lines.pop();
    const whole = lines.filter(Boolean).map((line) => JSON.parse(line));
    if (whole.length && take(whole) === false) return reader.cancel();
    if (done) return undefined;
  }
}

function notify(text, retry = null) {
  const again = retry && make("button", { type: "button", textContent: "Try again" });
  again?.addEventListener("click", () => { notify(""); retry(); });
  $("notice").replaceChildren(text ?? "", ...(again ? [" ", again] : []));
  $("notice").hidden = !text;
}

/** Runs an action of the page; what goes wrong is said, once, in one place. */
async function attempt(action) {
  try {
    await action();
  } catch (problem) {
    const said = problem instanceof ApiProblem ? problem.message : "The sidecar cannot be reached.";
    if (problem.name !== "AbortError") notify(`${said[0].toUpperCase()}${said.slice(1)}`, () => attempt(action));
  }
}
