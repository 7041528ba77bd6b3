// One match beside its query, or one item: lines, heat map, zoom, full screen, and what can be decided.
"use strict";

let geometry = null;
const sides = () => $$("#two img[data-side]");

// Puts a comparison (of the search that is shown) in place of the list. ``keep``: the pictures stay shown.
async function compare(item, { keep = false } = {}) {
  const search = state.search;
  const text = await html(`/searches/${search}/items/${item}`);
  if (state.search !== search) return;
  const kept = keep && showing.pinned !== null;
  closely(item, text);
  $("#decide").addEventListener("submit", (event) => event.preventDefault());
  pressed();
  if (kept) tried(keepShown)();
  try {
    const found = await json(`/searches/${search}/items/${item}/geometry`);
    if (state.comparing !== item || state.search !== search) return;
    geometry = found;
    told(found);
    const drawn = () => { if (geometry === found) draw(); };
    sides().forEach((picture) => {
      const px = picture.dataset.side === "query" ? found.query_px : found.item_px;
      picture.style.setProperty("--ratio", px[0] / px[1]);
      picture.addEventListener("load", drawn);
    });
    if (found.heat) $$("#two img.heat").forEach((layer) => {
      layer.addEventListener("load", drawn);
      load(layer, `/searches/${search}/items/${item}/heat/${layer.dataset.heat}`);
    });
    drawn();
    tagged({ item, stands: $(`#results .card[data-item="${item}"]`)?.dataset.state || "open" });
  } catch (error) {
    if (state.comparing === item && $("#geometry")) $("#geometry").textContent = error.message;
  }
}
async function lookAt(item) {
  const text = await html(`/items/${item}`);
  closely(item, text);
}
function closely(item, text) {
  unpin();
  const place = $("#comparing");
  put(place, text);
  state.comparing = item;
  geometry = null;
  place.hidden = false;
  document.body.classList.add("closely");
  for (const id of ["#results", "#pages", "#bar", "#grading"]) $(id).hidden = true;
  holdable($('[data-do="hold"]', place), sides);
  sides().forEach((picture) => picture.addEventListener("load", () => {
    if (geometry === null) picture.style.setProperty("--ratio", picture.naturalWidth / picture.naturalHeight);
  }));
  zooming();
  $("h1, h2", place).focus({ preventScroll: true });
  place.scrollIntoView({ block: "start" });
}
function closeCompare() {
  unpin();
  if (state.comparing === null) return;
  state.comparing = null;
  geometry = null;
  if (document.fullscreenElement) document.exitFullscreen();
  document.body.classList.remove("closely");
  $("#comparing").hidden = true;
  $("#comparing").replaceChildren();
  $("#results").hidden = false;
  $("#bar").hidden = state.search === null;
  $("#pages").hidden = state.pages < 2;
  marking();
}
const keepShown = () => pin($('#comparing [data-do="keep"]'), sides());
function told(found) {
  const verdict = $("#geometry");
  verdict.textContent = found.reason;
  verdict.classList.toggle("good", found.verified);
  let numbers = t("{0} [0 pair|pairs] of points, {1} [1 agrees|agree]", found.tentative, found.inliers);
  if (found.error_px !== null) numbers += `, ${t("median error {0} px", decimal(found.error_px, 1))}`;
  if (found.verified) numbers += `, ${t("{0} % of the item covered", Math.round(found.overlap * 100))}`;
  $("#numbers").hidden = false;
  $("#numbers dd").textContent = `${numbers}, ${t("score {0}", decimal(found.score, 4))}`;
}
function draw() {
  const two = $("#two");
  if (!two || !geometry || !$("#lines")) return;
  const origin = two.getBoundingClientRect();
  const at = {}, within = {};
  const seen = (side, [x, y]) => x >= within[side][0] && y >= within[side][1] && x <= within[side][2] && y <= within[side][3];
  for (const picture of $$("img[data-side]", two)) {
    const rect = picture.getBoundingClientRect();
    const px = picture.dataset.side === "query" ? geometry.query_px : geometry.item_px;
    at[picture.dataset.side] = (x, y) => [rect.left - origin.left + x / px[0] * rect.width, rect.top - origin.top + y / px[1] * rect.height];
    const layer = $(`img[data-heat="${picture.dataset.side}"]`, two);
    const frame = picture.parentElement.getBoundingClientRect();
    within[picture.dataset.side] = [frame.left - origin.left - 1, frame.top - origin.top - 1, frame.right - origin.left + 1, frame.bottom - origin.top + 1];
    layer.hidden = !(state.heat && geometry.heat);
    Object.assign(layer.style, { left: `${rect.left - frame.left}px`, top: `${rect.top - frame.top}px`, width: `${rect.width}px`, height: `${rect.height}px` });
  }
  const svg = $("#lines");
  svg.replaceChildren();
  if (!state.lines) return;
  const add = (kind, values, to = svg) => {
    const part = document.createElementNS("http://www.w3.org/2000/svg", kind);
    for (const [key, value] of Object.entries(values)) part.setAttribute(key, value);
    return to.appendChild(part);
  };
  if (geometry.outline.length) {
    // In a frame of the item's size: an outline may reach far out of the picture.
    const [x, y] = at.item(0, 0), [right, bottom] = at.item(...geometry.item_px);
    const [left, top, far, low] = within.item;
    const cut = [Math.max(x, left), Math.max(y, top)];
    const frame = add("svg", { x: cut[0], y: cut[1], width: Math.max(0, Math.min(right, far) - cut[0]), height: Math.max(0, Math.min(bottom, low) - cut[1]) });
    const points = geometry.outline.map((corner) => at.item(...corner)).map(([a, b]) => `${a - cut[0]},${b - cut[1]}`);
    add("polygon", { points: points.join(" ") }, frame);
  }
  for (const [number, surface] of geometry.surfaces.entries()) {
    for (const side of ["query", "item"]) {
      const corners = surface[side].map((corner) => at[side](...corner));
      if (!corners.every((corner) => seen(side, corner))) continue; // zoomed out of sight
      add("polygon", { points: corners.join(" "), class: `surface s${number + 1}` });
    }
  }
  for (const { of, line: [x1, y1, x2, y2] } of geometry.lines) {
    const one = at.query(x1, y1), other = at.item(x2, y2), colour = of === null ? {} : { class: `s${of}` };
    if (!seen("query", one) || !seen("item", other)) continue;
    add("line", { x1: one[0], y1: one[1], x2: other[0], y2: other[1], ...colour });
    for (const [cx, cy] of [one, other]) add("circle", { cx, cy, r: 3, ...colour });
  }
}
addEventListener("resize", () => { sides().forEach((picture) => place(picture)); draw(); });
document.addEventListener("fullscreenchange", () => {
  const button = $('[data-do="full"]');
  if (button) button.textContent = document.fullscreenElement ? t("Leave full screen") : t("Full screen");
  sides().forEach(reset);
  setTimeout(draw, 60);
});
function pressed() {
  $('[data-do="lines"]')?.setAttribute("aria-pressed", String(state.lines));
  $('[data-do="heat"]')?.setAttribute("aria-pressed", String(state.heat));
}
function toggle(what) { state[what] = !state[what]; pressed(); draw(); }
async function full() {
  if (document.fullscreenElement) { await document.exitFullscreen(); return; }
  await $("#comparing").requestFullscreen();
}

// --- zoom: the wheel over a picture, about the pointer; dragging moves it

const MOST_ZOOM = 24;
const views = new WeakMap();
const viewOf = (picture) => views.get(picture) || { zoom: 1, x: 0, y: 0 };
function place(picture, view = viewOf(picture)) {
  const wide = picture.offsetWidth, high = picture.offsetHeight;
  view.zoom = Math.min(MOST_ZOOM, Math.max(1, view.zoom));
  view.x = Math.min(0, Math.max(wide * (1 - view.zoom), view.x));
  view.y = Math.min(0, Math.max(high * (1 - view.zoom), view.y));
  views.set(picture, view);
  picture.dataset.zoom = view.zoom;
  picture.style.transform = view.zoom === 1 ? "" : `translate(${view.x}px, ${view.y}px) scale(${view.zoom})`;
  picture.parentElement.classList.toggle("zoomed", view.zoom > 1);
}
function reset(picture) { place(picture, { zoom: 1, x: 0, y: 0 }); draw(); }
function zoom(picture, times, x = picture.offsetWidth / 2, y = picture.offsetHeight / 2) {
  const { zoom: was, x: left, y: top } = viewOf(picture);
  const now = Math.min(MOST_ZOOM, Math.max(1, was * times));
  place(picture, { zoom: now, x: x - (x - left) * now / was, y: y - (y - top) * now / was });
  draw();
  sharpen(picture);
}
function zooming() {
  for (const picture of sides()) {
    const frame = picture.parentElement;
    const inside = (event) => {
      const box = frame.getBoundingClientRect();
      return [event.clientX - box.left - picture.offsetLeft, event.clientY - box.top - picture.offsetTop];
    };
    frame.addEventListener("wheel", (event) => {
      event.preventDefault();
      zoom(picture, Math.exp(-event.deltaY * (event.deltaMode === 1 ? 0.05 : 0.0018)), ...inside(event));
    }, { passive: false });
    let from = null;
    frame.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || viewOf(picture).zoom === 1) return;
      event.preventDefault();
      from = { x: event.clientX, y: event.clientY, view: { ...viewOf(picture) } };
      frame.setPointerCapture(event.pointerId);
    });
    frame.addEventListener("pointermove", (event) => {
      if (!from) return;
      place(picture, { ...from.view, x: from.view.x + event.clientX - from.x, y: from.view.y + event.clientY - from.y });
      draw();
    });
    for (const kind of ["pointerup", "pointercancel"]) frame.addEventListener(kind, () => { from = null; });
    frame.addEventListener("dblclick", () => (viewOf(picture).zoom > 1 ? reset(picture) : zoom(picture, 3)));
  }
}
