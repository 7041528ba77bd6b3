// Query pictures, searches and what they found. Each search, each page of it and each comparison has an address, so that
// the browser's Back goes one step back.
"use strict";

// --- addresses: #/searches/3?page=1, #/searches/3/items/17, #/items/17

function here() {
  const [path, asked] = location.hash.replace(/^#/, "").split("?");
  const [, kind, id, , item] = path.split("/");
  const number = (text) => (/^[0-9]{1,15}$/.test(text || "") ? Number(text) : null);
  return { kind: number(id) === null ? "" : kind, id: number(id), item: number(item), asked: new URLSearchParams(asked) };
}
function addressOf(search, item, asked) {
  const more = String(asked ?? here().asked);
  return `#/searches/${search}${item === undefined || item === null ? "" : `/items/${item}`}${more ? `?${more}` : ""}`;
}
function go(address, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", address);
  return route();
}
const FILTERS = { by: "item", states: "open,seen,possible,confirmed", least: "" };
let routed = 0;
async function route() {
  if (document.body.dataset.page !== "matches") return;
  const round = ++routed;
  const { kind, id, item, asked } = here();
  if (kind === "items") { await lookAt(id); return; }
  if (kind !== "searches") {
    closeCompare();
    state.search = null;
    if (listed.address) location.reload(); // back before the first search: as it was
    return;
  }
  for (const [name, otherwise] of Object.entries(FILTERS)) {
    const field = $(`#${name}`);
    field.value = asked.get(name) || otherwise;
    if (field.value === "" && otherwise) field.value = otherwise;
  }
  const address = addressOf(id, null, asked);
  if (state.search !== id || listed.address !== address) await list(id, asked);
  if (round !== routed) return;
  if (item === null) {
    const was = state.comparing;
    closeCompare();
    if (was !== null) { await list(id, asked); select(Math.max(0, state.items.indexOf(was))); }
    return;
  }
  state.at = state.items.indexOf(item) < 0 ? state.at : state.items.indexOf(item);
  if (state.comparing !== item || listed.compared !== id) { listed.compared = id; await compare(item); }
}
addEventListener("popstate", () => tried(route)());

// --- query pictures

async function takeTray(given) {
  const together = withIt();
  put($("#tray"), given.html);
  $$(".query").forEach((row) => { if (together.includes(Number(row.dataset.query)) && $(".with-it", row)) $(".with-it", row).checked = true; });
  if (given.query) pick(given.query);
  several();
}
const withIt = () => $$(".query").filter((row) => $(".with-it", row)?.checked).map((row) => Number(row.dataset.query));
function chosenQueries() {
  const together = withIt();
  return together.length > 1 ? together : [state.query];
}
function several() {
  const count = withIt().length;
  $("#together").hidden = count < 1;
  $("#together").textContent = count > 1 ? t("{0} pictures are searched together, as one room or thing: whole, without boxes.", count)
    : t("Tick a second picture to search with both together.");
  $("#go").textContent = count > 1 ? t("Search with {0} together", count) : t("Search");
}
function pick(query) {
  unpin();
  const row = $(`.query[data-query="${query}"]`);
  if (!row) return;
  state.query = query;
  $$(".query .pick").forEach((button) => button.setAttribute("aria-pressed", String(button.parentElement === row)));
  marks.width = Number(row.dataset.width); marks.height = Number(row.dataset.height);
  const picture = $("#query-picture");
  picture.dataset.query = query;
  picture.setAttribute("width", marks.width); picture.setAttribute("height", marks.height);
  $("#draw").style.maxWidth = `${Math.round(260 * marks.width / marks.height)}px`;
  picture.src = blank;
  load(picture, `/queries/${query}/picture`);
  $("#query-size").textContent = t("The picture is {0} × {1} px.", marks.width, marks.height);
  $("#marking").hidden = false;
  $("#go").disabled = false;
  clearMarks();
  row.scrollIntoView({ block: "nearest" });
}
// Every file ends as taken or refused, in sight, with the reason.
async function upload(files) {
  const rows = [...files].map((file) => ({ file, row: outcome(file.name, t("waiting…"), "") }));
  let taken = 0;
  for (const { file, row } of rows) {
    told_(row, file.name, t("taking it in…"), "");
    try {
      if (file.size > state.mostBytes) throw new Error(t("too large; up to {0} MiB a picture", state.mostBytes >> 20));
      if (!file.size) throw new Error(t("empty"));
      const data = await file.arrayBuffer().catch(() => { throw new Error(t("can't be read (a folder?)")); });
      const given = await json(`/queries?name=${encodeURIComponent(file.name)}`, { raw: data });
      await takeTray(given);
      taken++;
      const said = given.known ? t("taken before, as {0}", given.known) : t("taken");
      told_(row, file.name, given.partial ? t("{0}; partly read: {1}", said, given.partial) : said, given.partial ? "partly" : "good");
    } catch (error) {
      if (session.over) return;
      const why = error.message.startsWith(`${file.name}: `) ? error.message.slice(file.name.length + 2) : error.message;
      told_(row, file.name, t("refused: {0}", why), "bad");
    }
  }
  say(t("{0} of {1} taken", taken, rows.length));
}
function outcome(name, text, kind) {
  const row = document.createElement("li");
  $("#outcomes").hidden = false;
  $("#outcomes").append(row);
  while ($("#outcomes").children.length > 100) $("#outcomes").firstChild.remove();
  told_(row, name, text, kind);
  return row;
}
function told_(row, name, text, kind) {
  row.className = kind;
  const strong = document.createElement("strong");
  strong.textContent = name;
  row.replaceChildren(strong, ` ${text}`);
}

// --- searching and paging

const listed = { address: "", compared: null };
async function search() {
  const form = $("#search");
  const round = ++state.asked;
  const queries = chosenQueries();
  closeCompare();
  $("#results").classList.add("busy");
  try {
    const alone = queries.length === 1;
    const fields = ["label", "source", "since", "until", "exclude_label", "exclude_source", "exclude_item", "meta", "list", "exclude_list"];
    const given = await json("/searches", { body: { queries, regions: form.regions.checked,
      ...(alone ? { box: marks.box, ignore: marks.ignore, strokes: marks.strokes } : {}),
      ...Object.fromEntries(fields.map((field) => [field, form.elements[field].value])) } });
    if (round !== state.asked) return;
    remember(given);
    await go(addressOf(given.search, null, ""));
    const top = $(".found").getBoundingClientRect().top;
    if (top < 0 || top > innerHeight / 2) $(".found").scrollIntoView({ block: "start" });
    $(".card")?.focus({ preventScroll: true });
    say(t("Verifying the nearest by geometry…"));
    const verified = await json(`/searches/${given.search}/verify`, { body: {} });
    // A reader who is already looking closely is not pulled away.
    if (round !== state.asked || verified.search !== state.search) return;
    if (state.comparing === null && state.page === 0 && !markedCards().length) await list(state.search, here().asked, state.items[state.at]);
    else listed.address = "";
    say(t("Verified: matches that geometry confirms come first"));
  } finally {
    if (round === state.asked) $("#results")?.classList.remove("busy");
  }
}
function remember(given) {
  if ($(`#searches option[value="${given.search}"]`)) return;
  const option = document.createElement("option");
  option.value = given.search;
  option.textContent = `${given.search}. ${given.name}`;
  $("#searches").prepend(option);
}
async function list(search, asked, keep) {
  const by = asked.get("by") || "item";
  const page = /^[0-9]{1,6}$/.test(asked.get("page") || "") ? asked.get("page") : "0";
  const sent = new URLSearchParams({ page, states: asked.get("states") || FILTERS.states, least: asked.get("least") || "",
    by: by === "item" ? "item" : "label", column: by === "item" ? "label" : by });
  const given = await json(`/searches/${search}?${sent}`);
  hide();
  const fresh = state.search !== search;
  Object.assign(state, { search, page: given.page, pages: given.pages, items: given.items });
  listed.address = addressOf(search, null, asked);
  put($("#results"), given.html);
  $("#results").classList.remove("busy");
  $("#bar").hidden = state.comparing !== null;
  $("#searched").textContent = given.name;
  $("#asked").textContent = t("Search {0}: {1}", search, given.asked);
  $("#summary").textContent = given.said;
  $("#searches").value = search;
  $("#pages").hidden = given.pages < 2 || state.comparing !== null;
  $("#page-of").textContent = t("Page {0} of {1}", given.page + 1, given.pages);
  $("#previous").disabled = given.page === 0;
  $("#next").disabled = given.page + 1 >= given.pages;
  $$("#results .look").forEach((button) => holdable(button, () => {
    const card = button.closest(".card");
    return [$("#query-picture").dataset.query === card.dataset.query ? $("#query-picture") : null, pictureOf(card)];
  }));
  marking();
  if (fresh && given.queries.length === 1 && given.queries[0] !== state.query) pick(given.queries[0]);
  select(keep === undefined ? 0 : Math.max(0, state.items.indexOf(keep)), false);
}
// A change of the list is an address of its own.
function asked(changes) {
  const now = here().asked;
  for (const [name, value] of Object.entries(changes)) {
    if (String(value) === (FILTERS[name] ?? "0")) now.delete(name); else now.set(name, value);
  }
  return now;
}
const turn = (page) => go(addressOf(state.search, null, asked({ page })));
function select(at, focus = true) {
  const cards = $$("#results .card");
  if (!cards.length) { state.at = -1; return; }
  state.at = Math.min(cards.length - 1, Math.max(0, at));
  cards.forEach((card, index) => {
    card.classList.toggle("on", index === state.at);
    card.tabIndex = index === state.at ? 0 : -1;
  });
  if (focus) { cards[state.at].focus({ preventScroll: true }); cards[state.at].scrollIntoView({ block: "nearest" }); }
}
async function move(step) {
  const to = state.at + step;
  const closely = state.comparing !== null;
  if (!closely) hide();
  const page = to >= state.items.length ? state.page + 1 : to < 0 ? state.page - 1 : state.page;
  if (page !== state.page && (page < 0 || page >= state.pages)) return;
  if (page !== state.page) {
    const next = asked({ page });
    await list(state.search, next);
    history.replaceState(null, "", addressOf(state.search, null, next));
    select(to < 0 ? state.items.length - 1 : 0, !closely);
  } else {
    select(to, !closely);
  }
  if (closely) await go(addressOf(state.search, state.items[state.at]), { replace: true });
}
const back = () => (here().kind === "items" ? history.back() : go(addressOf(state.search, null)));
