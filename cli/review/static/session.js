// Who this tab is to the server, how it asks, and how its pictures come: with the secret, which no cookie holds.
"use strict";

// What a reader sees, in the language of the page: the words lie in the page itself. {0}, {1}, ... stand for what is given,
// [0 picture|pictures] for the one or the other by the number that {0} is (imgmatch.language.counted).
const WORDS_OF = JSON.parse(document.getElementById("words").textContent);
const ONE = document.documentElement.lang === "fr" ? ["0", "1"] : ["1"];
const t = (text, ...given) => (WORDS_OF[text] || text)
  .replace(/\[(\d) ([^[\]|]*)\|([^[\]|]*)\]/g, (_, at, one, more) => (ONE.includes(String(given[at])) ? one : more))
  .replace(/\{(\d)\}/g, (_, at) => given[at]);

// A number as the language of the page writes it (imgmatch.language.decimal).
const decimal = (value, places) => value.toLocaleString(document.documentElement.lang,
  { minimumFractionDigits: places, maximumFractionDigits: places, useGrouping: false });

const $ = (selector, from = document) => from.querySelector(selector);
const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];

// The secret is had for the code behind the address's #, once, and kept for this tab alone: it survives a reload.
const KEPT = "imgmatch-review";
const session = { secret: sessionStorage.getItem(KEPT), over: false, looking: 0 };

async function enter() {
  const [code, ...to] = location.hash.startsWith("#code=") ? location.hash.slice(6).split("/") : [""];
  if (code) {
    history.replaceState(null, "", location.pathname + (to.length ? `#/${to.join("/")}` : ""));
    try {
      session.secret = (await json("/session", { body: { code } })).secret;
      sessionStorage.setItem(KEPT, session.secret);
    } catch (error) {
      if (!session.secret) throw error;
    }
  }
  if (!session.secret) {
    throw new Error(t("This tab is not let in. Go on in the tab where the review was opened, or start it again with: imgmatch review CASE"));
  }
}
addEventListener("hashchange", () => { if (location.hash.startsWith("#code=")) location.reload(); });

// Nothing of the case stays in sight once the review is over.
const ENDED = t("The review has ended. Start it again with: imgmatch review CASE");
function over(text) {
  session.over = true;
  session.secret = null;
  lately.clear();
  unpin();
  sessionStorage.removeItem(KEPT);
  clearTimeout(session.looking);
  for (const picture of $$("img")) jobs.get(picture)?.abort();
  delete document.body.dataset.page;
  const note = document.createElement("p");
  note.className = "single";
  note.setAttribute("role", "alert");
  note.textContent = text;
  document.body.replaceChildren(note);
  document.title = "imgmatch review";
}
// An empty chair: when nothing was asked for in any tab, the server has ended by then, and the page goes dark too.
function watch(leftS) {
  clearTimeout(session.looking);
  session.looking = setTimeout(async () => {
    try { watch((await json("/session", { quiet: true })).left_s); } catch { /* it is over */ }
  }, Math.min(60, leftS + 1.5) * 1000);
}

// --- asking

async function ask(path, { body, raw, quiet, signal, priority } = {}) {
  if (session.over) throw new Error(ENDED);
  const headers = quiet ? { "X-Imgmatch-Quiet": "1" } : {};
  if (session.secret) headers.Authorization = `Bearer ${session.secret}`;
  const options = { headers, cache: "no-store", credentials: "omit", mode: "same-origin", redirect: "error", signal, priority };
  if (body !== undefined || raw !== undefined) {
    options.method = "POST";
    if (raw === undefined) headers["Content-Type"] = "application/json";
    options.body = raw === undefined ? JSON.stringify(body) : raw;
  }
  const answer = await fetched(path, options);
  if (answer.ok) return answer;
  const text = await answer.text();
  let said = text.trim();
  try { said = JSON.parse(text).error; } catch { /* plain text */ }
  if (answer.status === 401) over(ENDED);
  throw new Error(said);
}
// A connection can be broken off while others crowd in: what only reads is asked again before the review counts as over.
async function fetched(path, options) {
  for (const wait of [100, 400, 1500, 0]) {
    try {
      return await fetch(path, options);
    } catch (error) {
      if (options.signal?.aborted || leaving) throw error;
      if (options.method === "POST") {
        await ask("/session", { quiet: true });
        throw new Error(t("The connection was broken off; look whether it was done, or do it again"));
      }
      if (wait) await new Promise((done) => setTimeout(done, wait));
    }
  }
  over(ENDED);
  throw new Error(ENDED);
}
const json = async (...given) => (await ask(...given)).json();
const html = async (...given) => (await ask(...given)).text();
let leaving = false;
addEventListener("pagehide", () => { leaving = true; });
addEventListener("pageshow", () => { leaving = false; });

// A link that is opened beside gets a code of its own.
async function beside(event) {
  const link = event.target.closest?.("a[href]");
  if (!link || link.classList.contains("skip") || session.over || !(event.ctrlKey || event.metaKey || event.shiftKey || event.button === 1)) return;
  event.preventDefault();
  try {
    const { code } = await json("/codes", { body: {} });
    open(`${link.pathname}#code=${code}${link.hash.slice(1)}`, "_blank", "noopener");
  } catch (error) {
    fail(error);
  }
}
addEventListener("click", beside);
addEventListener("auxclick", beside);

// --- pictures

const jobs = new WeakMap();
const blobs = new WeakMap();
// Blurred ones were small and are asked for again and again: the last are kept in the page's memory.
const lately = new Map();
const LATELY = 500;
const blank = URL.createObjectURL(new Blob(['<svg xmlns="http://www.w3.org/2000/svg" width="4" height="3"/>'], { type: "image/svg+xml" }));

function display(picture, blob) {
  const url = URL.createObjectURL(blob);
  const done = () => URL.revokeObjectURL(url);
  picture.addEventListener("load", done, { once: true });
  picture.addEventListener("error", done, { once: true });
  picture.src = url;
}
async function load(picture, path = picture.dataset.picture) {
  jobs.get(picture)?.abort();
  const job = new AbortController();
  jobs.set(picture, job);
  blobs.delete(picture);
  try {
    const blob = lately.get(path) || await (await ask(path, { signal: job.signal, priority: "low" })).blob();
    lately.delete(path);
    lately.set(path, blob);
    if (lately.size > LATELY) lately.delete(lately.keys().next().value);
    blobs.set(picture, blob);
    if (!picture.dataset.shown) display(picture, blob);
  } catch {
    if (!job.signal.aborted && !session.over) missing(picture);
  }
}
// A source that is not at hand is said in words; nothing of it is an error of the page.
function missing(picture) {
  if (picture.classList.contains("heat")) return;
  picture.classList.add("missing");
  picture.closest(".frame")?.classList.add("gone");
}
document.addEventListener("error", (event) => { if (event.target.tagName === "IMG") missing(event.target); }, true);

const near = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    near.unobserve(target);
    load(target);
  }
}, { rootMargin: "800px" });
function put(place, text) {
  for (const picture of $$("img", place)) { near.unobserve(picture); jobs.get(picture)?.abort(); }
  place.innerHTML = text;
  for (const picture of $$("img", place)) {
    if (!picture.hidden && !lately.has(picture.dataset.picture)) picture.src = blank;
    if (lately.has(picture.dataset.picture)) load(picture);
    else if (picture.dataset.picture) near.observe(picture);
  }
}
