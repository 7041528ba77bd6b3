// The head of every page, the keys, and coming in. Asks the server on this machine, and nobody else.
"use strict";

const state = { query: null, search: null, page: 0, pages: 1, items: [], at: -1, comparing: null, grey: false, faces: false,
  lines: true, heat: false, examiner: "", asked: 0, mostBytes: 0 };

function chosenPictures() {
  if (state.comparing !== null) return sides();
  const open = $("dialog[open]");
  const card = open ? open.querySelector(".card:focus, .card:hover") : $("#results .card.on");
  if (card?.dataset.item) {
    const query = $("#query-picture");
    return [query?.dataset.query === card.dataset.query ? query : null, pictureOf(card)];
  }
  return state.query === null || open ? [] : [$("#query-picture")];
}
function setGrey(grey) {
  state.grey = grey;
  $("#grey").setAttribute("aria-pressed", String(grey));
  say(grey ? t("Shown pictures will be grey") : t("Shown pictures will be in colour"));
}
// Bystanders too: faces in shown pictures stay hidden until they are asked for.
function setFaces(faces) {
  state.faces = faces;
  $("#faces").setAttribute("aria-pressed", String(faces));
  say(faces ? t("Shown pictures will show faces (recorded)") : t("Faces stay hidden in shown pictures"));
}
let named = null;
function head() {
  $("#grey").addEventListener("click", () => setGrey(!state.grey));
  $("#faces").addEventListener("click", () => setFaces(!state.faces));
  $("#undo-last").addEventListener("click", tried(() => undo(deciding.last)));
  $("#help").addEventListener("click", () => $("#helping").showModal());
  $("#who").addEventListener("click", () => name());
  $("#name-cancel").addEventListener("click", () => $("#naming").close());
  $("#end").addEventListener("click", tried(async () => {
    if (!confirm(t("End the review? Decisions are kept; uploaded pictures are forgotten."))) return;
    await ask("/end", { body: {} });
    over(t("The review has ended. This tab can be closed."));
  }));
  $("#naming").addEventListener("close", () => { named?.(state.examiner); named = null; });
  $("#name-form").addEventListener("submit", tried(async (event) => {
    event.preventDefault();
    const given = await json("/examiner", { body: { name: $("#name-form input").value } });
    state.examiner = given.examiner;
    $("#who").textContent = given.examiner;
    $("#naming").close();
  }));
}
function name() {
  $("#naming").showModal();
  $("#name-form input").select();
  return new Promise((done) => { named = done; });
}

// --- keys

const listKeys = {
  j: () => move(1), ArrowRight: () => move(1), ArrowDown: () => move(rowStep()), k: () => move(-1), ArrowLeft: () => move(-1), ArrowUp: () => move(-rowStep()),
  Home: () => select(0), End: () => select(state.items.length - 1),
  Enter: () => (state.items[state.at] === undefined ? undefined : go(addressOf(state.search, state.items[state.at]))),
  x: () => { const box = $("#results .card.on .marking"); if (box) { box.checked = !box.checked; marking(); } },
  n: () => (state.page + 1 < state.pages ? turn(state.page + 1) : undefined),
  p: () => (state.page > 0 ? turn(state.page - 1) : undefined),
  u: () => undo(deciding.last),
};
const closeKeys = {
  j: () => move(1), ArrowRight: () => move(1), ArrowDown: () => move(1), k: () => move(-1), ArrowLeft: () => move(-1), ArrowUp: () => move(-1),
  Escape: () => back(), l: () => toggle("lines"), h: () => toggle("heat"), v: () => keepShown(), f: () => full(),
  "+": () => closer.larger(), "=": () => closer.larger(), "-": () => closer.smaller(), 0: () => closer.fit(), u: () => closer.undo(),
};
const verdicts = { c: "confirmed", m: "possible", r: "rejected", e: "seen" };
function rowStep() {
  const cards = $$("#results .card");
  const next = cards.findIndex((card, index) => index > 0 && card.offsetTop > cards[0].offsetTop);
  return next > 0 && state.at + next < cards.length ? next : 1;
}
function working(key) {
  if (document.body.dataset.page !== "matches") return undefined;
  const item = here().kind === "items";
  if (state.comparing !== null) {
    if (item && ["j", "k", "u", "l", "h", "ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp"].includes(key)) return undefined;
    if (!item && key in verdicts) return () => decide(verdicts[key]);
    return closeKeys[key];
  }
  if (key === "v" && state.query !== null) return () => pin($("#keep-query"), [$("#query-picture")]);
  if (state.search === null) return undefined;
  return key in verdicts ? () => decide(verdicts[key]) : listKeys[key];
}
addEventListener("keydown", (event) => {
  if (session.over || event.ctrlKey || event.altKey || event.metaKey || !document.body.dataset.page) return;
  const typing = event.target.closest?.("input:not([type=checkbox], [type=radio]), select, textarea");
  if (event.key === "Escape" && typing) { typing.blur(); return; }
  if (typing) return;
  if (event.key === "s" && !event.repeat) { show(chosenPictures()); return; }
  if ($("dialog[open]")) return;
  if (event.key === "?") { $("#helping").showModal(); return; }
  if (event.key === "g") { setGrey(!state.grey); return; }
  if (event.key === "a" && !$("#faces").hidden) { setFaces(!state.faces); return; }
  if (["Enter", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"].includes(event.key)
    && event.target.closest?.("button, a, summary, label, [role=radiogroup], .scrolled")) return;
  const work = working(event.key);
  if (!work) return;
  event.preventDefault();
  tried(async () => work())();
});
addEventListener("keyup", (event) => { if (event.key === "s") hide(); });

// --- coming in

async function begin() {
  try {
    await enter();
    const page = location.pathname.slice(1) || "matches";
    const given = await json(`/pages/${page}`);
    put(document.body, given.html);
    document.body.dataset.page = page;
    $('nav [aria-current]')?.scrollIntoView({ block: "nearest", inline: "nearest" });
    document.title = given.title;
    state.examiner = given.examiner;
    state.mostBytes = given.most_bytes;
    watch(given.left_s);
    head();
    pagesOf[page](given);
  } catch (error) {
    if (!session.over) over(error.message);
  }
}
begin();
