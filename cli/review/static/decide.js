// Decisions: on what is chosen or marked, with a note, and taking them back. The server asks that both were looked at.
"use strict";

const WORDS = { confirmed: t("confirmed"), possible: t("called possible"), rejected: t("rejected"), seen: t("marked as seen"), open: t("open again") };
const deciding = { busy: false, last: null };

async function decideOn(body, verdict) {
  if (deciding.busy) return null;
  deciding.busy = true;
  try {
    if (!state.examiner && !(await name())) return null;
    const given = await json("/decisions", { body: { ...body, verdict } });
    const many = given.decided.length;
    const what = many === 1 ? t("Item {0} {1}", given.decided[0].item, WORDS[verdict]) : t("{0} items {1}", many, WORDS[verdict]);
    const waits = given.decided.some((one) => one.waits) ? t("; a second examiner has to agree") : "";
    if (given.refused.length) fail(new Error(t("{0} not decided on: {1}", given.refused.length, given.refused[0].why)));
    deciding.last = given.decided.map((one) => ({ item: one.item, search: body.search }));
    done(`${what} ${t("by {0}", given.examiner)}${waits}`, body.search !== undefined);
    return given;
  } finally {
    deciding.busy = false;
  }
}
let clearingDone = 0;
function done(text, undoable) {
  const toast = $("#done");
  $("span", toast).textContent = text;
  $("#undo-last").hidden = !undoable;
  toast.hidden = false;
  clearTimeout(clearingDone);
  clearingDone = setTimeout(() => { if ($("#done")) $("#done").hidden = true; }, 8000);
}
async function undo(pairs) {
  if (deciding.busy || !pairs?.length) return;
  deciding.busy = true;
  try {
    const stood = [];
    for (const one of pairs) stood.push({ ...one, ...await json("/decisions/undo", { body: { search: one.search, item: one.item } }) });
    deciding.last = null;
    done(stood.length === 1 ? t("Taken back: item {0} is {1}", stood[0].item, WORDS[stood[0].stands]) : t("{0} decisions taken back", stood.length), false);
    stood.forEach(tagged);
    if (state.comparing !== null) await compare(state.comparing, { keep: true });
  } finally {
    deciding.busy = false;
  }
}
// A card says what stands of it, without a new list.
function tagged({ item, stands, waits }) {
  const card = $(`#results .card[data-item="${item}"]`);
  if (!card) return;
  card.dataset.state = stands;
  $(".state", card)?.remove();
  const tag = document.createElement("span");
  tag.className = `state ${stands === "open" ? "looked" : stands}`;
  tag.textContent = waits ? t("confirmed once") : stands === "open" ? t("looked at") : t(stands);
  $(".frame", card).append(tag);
  card.setAttribute("aria-label", card.getAttribute("aria-label").replace(/, [^,]+$/, `, ${t(stands)}`));
}
function markedCards() { return $$("#results .card").filter((card) => $(".marking", card)?.checked); }
// What is marked, else the chosen one; closely, the one that is compared.
async function decide(verdict) {
  const closely = state.comparing !== null;
  const marked = closely ? [] : markedCards().map((card) => Number(card.dataset.item));
  const items = closely ? [state.comparing] : marked.length ? marked : [state.items[state.at]].filter((one) => one !== undefined);
  if (!items.length || state.search === null) return;
  const note = closely ? $("#decide input").value : marked.length ? $("#grading input").value : "";
  const given = await decideOn({ search: state.search, items, note }, verdict);
  if (!given) return;
  given.decided.forEach(tagged);
  if (closely) { await compare(state.comparing, { keep: true }); return; }
  if (marked.length) { unmark(); $("#grading input").value = ""; }
}
function unmark() {
  $$(".marking").forEach((box) => { box.checked = false; });
  marking();
}
function marking() {
  const cards = $$("#results .card");
  const count = markedCards().length;
  cards.forEach((card) => card.classList.toggle("marked", Boolean($(".marking", card)?.checked)));
  $("#grading").hidden = !count || state.comparing !== null;
  $("#marked").textContent = t("{0} marked", count);
}
