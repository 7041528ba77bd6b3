// Clear pictures: as long as something is held, or kept until they are hidden again. Each is recorded before it is sent.
"use strict";

let clearing = 0, clearingFailure = 0;
function said(place, text, ms, timer) {
  if (session.over || !$(place)) return timer;
  $(place).textContent = text;
  clearTimeout(timer);
  return setTimeout(() => { if ($(place)) $(place).textContent = ""; }, ms);
}
function say(text) { clearing = said("#said", text, 4000, clearing); }
function fail(error) { clearingFailure = said("#failed", error.message || String(error), 9000, clearingFailure); }
const tried = (work) => async (...given) => { try { return await work(...given); } catch (error) { fail(error); } };

const showing = { held: false, pinned: null, shown: new Map(), round: 0, idle: 0 };
const MOST_PX = 4000;
const IDLE_MS = 120000;

function clearPath(picture) {
  return picture.dataset.query ? `/queries/${picture.dataset.query}/clear` : `/items/${picture.dataset.clear}/clear`;
}
// Pictures of cards are named by their card.
function pictureOf(card) {
  const picture = $("img", card);
  if (picture && !picture.dataset.clear) picture.dataset.clear = card.dataset.item;
  return picture;
}
async function reveal(picture, round) {
  const wide = picture.offsetWidth * (window.devicePixelRatio || 1) * (Number(picture.dataset.zoom) || 1);
  const px = Math.min(MOST_PX, Math.max(320, Math.round(wide)));
  const url = URL.createObjectURL(await (await ask(clearPath(picture), { body: { px, grey: state.grey, faces: state.faces } })).blob());
  if (round !== showing.round || !(showing.held || showing.pinned)) { URL.revokeObjectURL(url); return; }
  const before = showing.shown.get(picture);
  showing.shown.set(picture, { url, px });
  picture.dataset.shown = "1";
  picture.src = url;
  if (before) setTimeout(() => URL.revokeObjectURL(before.url), 1000);
}
async function show(pictures) {
  pictures = pictures.filter(Boolean);
  if (showing.held || !pictures.length) return;
  showing.held = true;
  const round = showing.pinned ? showing.round : ++showing.round;
  await Promise.all(pictures.filter((one) => !showing.shown.has(one)).map(tried((one) => reveal(one, round))));
}
function hide() {
  showing.held = false;
  if (showing.pinned) return;
  showing.round++;
  for (const [picture, { url }] of showing.shown) {
    delete picture.dataset.shown;
    if (blobs.has(picture)) display(picture, blobs.get(picture)); else picture.src = blank;
    URL.revokeObjectURL(url);
  }
  showing.shown.clear();
}
// Kept shown until the button is pressed again, the tab is left, or nobody has moved for two minutes.
async function pin(button, pictures) {
  if (showing.pinned === button) { unpin(); return; }
  unpin();
  showing.pinned = button;
  button.setAttribute("aria-pressed", "true");
  stir();
  const round = ++showing.round;
  await Promise.all(pictures.filter(Boolean).map(tried((one) => reveal(one, round))));
}
function unpin() {
  showing.pinned?.setAttribute("aria-pressed", "false");
  showing.pinned = null;
  clearTimeout(showing.idle);
  hide();
}
function stir() {
  if (!showing.pinned) return;
  clearTimeout(showing.idle);
  showing.idle = setTimeout(unpin, IDLE_MS);
}
// What is looked at closer than it was sent is asked for again, larger.
const sharpen = (picture) => {
  clearTimeout(picture.sharpening);
  picture.sharpening = setTimeout(tried(async () => {
    const shown = showing.shown.get(picture);
    const wide = picture.offsetWidth * (window.devicePixelRatio || 1) * (Number(picture.dataset.zoom) || 1);
    if (shown && showing.pinned && shown.px < MOST_PX && wide > shown.px * 1.2) await reveal(picture, showing.round);
  }), 350);
};
function holdable(button, pictures) {
  button?.addEventListener("pointerdown", (event) => { if (event.button === 0) show(pictures()); });
  button?.addEventListener("keydown", (event) => {
    if ((event.key === " " || event.key === "Enter") && !event.repeat) { event.preventDefault(); show(pictures()); }
  });
  button?.addEventListener("keyup", hide);
  button?.addEventListener("pointerleave", hide);
  button?.addEventListener("contextmenu", (event) => event.preventDefault());
}
addEventListener("pointerup", () => { if (showing.held) hide(); });
addEventListener("pointercancel", () => { if (showing.held) hide(); });
for (const kind of ["pointermove", "keydown", "wheel"]) addEventListener(kind, stir, { passive: true });
addEventListener("blur", unpin);
document.addEventListener("visibilitychange", () => { if (document.hidden) unpin(); });
