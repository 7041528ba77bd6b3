// The page's own script: asks the server on this machine, and nobody else.
"use strict";

const state = { query: null, search: null, page: 0, pages: 1, items: [], at: -1, comparing: null, grey: false,
  lines: true, heat: false, examiner: "", asked: 0 };

let clearing = 0;
function say(text) {
  if (session.over) return;
  $("#said").textContent = text;
  clearTimeout(clearing);
  clearing = setTimeout(() => { $("#said").textContent = ""; }, 4000);
}
let clearingFailure = 0;
function fail(error) {
  if (session.over) return;
  $("#failed").textContent = error.message || String(error);
  clearTimeout(clearingFailure);
  clearingFailure = setTimeout(() => { $("#failed").textContent = ""; }, 9000);
}
const tried = (work) => async (...given) => { try { return await work(...given); } catch (error) { fail(error); } };

// --- showing a picture while something is held

const showing = { held: false, pictures: [], urls: [], round: 0 };
async function show(pictures) {
  if (showing.held || !pictures.length) return;
  showing.held = true;
  const round = ++showing.round;
  await Promise.all(pictures.map(tried(async (picture) => {
    const path = picture.dataset.query ? `/queries/${picture.dataset.query}/clear` : `/items/${picture.dataset.clear}/clear`;
    const px = Math.min(1600, Math.max(320, Math.round(picture.clientWidth * (window.devicePixelRatio || 1))));
    const url = URL.createObjectURL(await (await ask(path, { body: { px, grey: state.grey } })).blob());
    if (!showing.held || round !== showing.round) { URL.revokeObjectURL(url); return; }
    showing.urls.push(url);
    showing.pictures.push(picture);
    picture.dataset.shown = "1";
    picture.src = url;
  })));
}
function hide() {
  showing.held = false;
  for (const picture of showing.pictures) {
    delete picture.dataset.shown;
    if (blobs.has(picture)) display(picture, blobs.get(picture)); else picture.src = blank;
  }
  showing.urls.forEach((url) => URL.revokeObjectURL(url));
  showing.pictures = []; showing.urls = [];
}
function holdable(button, pictures) {
  button.addEventListener("pointerdown", (event) => { if (event.button === 0) show(pictures()); });
  button.addEventListener("keydown", (event) => {
    if ((event.key === " " || event.key === "Enter") && !event.repeat) { event.preventDefault(); show(pictures()); }
  });
  button.addEventListener("keyup", hide);
  button.addEventListener("pointerleave", hide);
}
addEventListener("pointerup", hide);
addEventListener("blur", hide);
document.addEventListener("visibilitychange", () => { if (document.hidden) hide(); });

function chosenPictures() {
  if (state.comparing !== null) return $$("#two img[data-side]");
  const open = $("dialog[open]");
  const card = open ? open.querySelector(".card:focus") : $(".card.on");
  const picture = card && $("img", card);
  if (picture) { picture.dataset.clear = card.dataset.item; return [picture]; }
  return state.query === null || open ? [] : [$("#query-picture")];
}

// --- the head of every page

function setGrey(grey) {
  state.grey = grey;
  $("#grey").setAttribute("aria-pressed", String(grey));
  say(grey ? "Shown pictures will be grey" : "Shown pictures will be in colour");
}
let named = null;
function head() {
  $("#grey").addEventListener("click", () => setGrey(!state.grey));
  $("#help").addEventListener("click", () => $("#helping").showModal());
  $("#who").addEventListener("click", () => name());
  $("#name-cancel").addEventListener("click", () => $("#naming").close());
  $("#end").addEventListener("click", tried(async () => {
    if (!confirm("End the review? Decisions are kept; uploaded pictures are forgotten.")) return;
    await ask("/end", { body: {} });
    over("The review has ended. This tab can be closed.");
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
// --- matches: query pictures

const marks = { box: null, ignore: [], strokes: [], order: [], width: 1, height: 1, drawing: null };

async function takeTray(given) {
  put($("#tray"), given.html);
  if (given.query) pick(given.query);
}
function pick(query) {
  hide();
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
  $("#query-size").textContent = `The picture is ${marks.width} × ${marks.height} px.`;
  $("#marking").hidden = false;
  $("#go").disabled = false;
  clearMarks();
  row.scrollIntoView({ block: "nearest" });
}
async function upload(files) {
  for (const file of files) {
    say(`Taking in ${file.name}…`);
    await takeTray(await json(`/queries?name=${encodeURIComponent(file.name)}`, { raw: file }));
  }
  say("");
}

// --- matches: boxes and brush

function clearMarks() {
  marks.box = null; marks.ignore = []; marks.strokes = []; marks.order = [];
  marked();
}
function marked() {
  $("#box-text").value = marks.box ? marks.box.join(", ") : "";
  $("#ignore-text").value = marks.ignore.map((box) => box.join(", ")).join("; ");
  paint();
}
function boxes(text) {
  return text.split(";").filter((part) => part.trim()).map((part) => {
    const box = part.split(",").map((number) => Number(number.trim()));
    if (box.length !== 4 || !box.every(Number.isInteger)) throw new Error(`“${part.trim()}” is no box; write x, y, width, height`);
    return box;
  });
}
function paint() {
  const canvas = $("#canvas");
  if (!canvas) return;
  const rect = canvas.getBoundingClientRect();
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(rect.width * ratio)); canvas.height = Math.max(1, Math.round(rect.height * ratio));
  const pen = canvas.getContext("2d");
  pen.scale(canvas.width / marks.width, canvas.height / marks.height);
  const thin = 2 * marks.width / Math.max(1, rect.width);
  const strokes = marks.drawing?.points ? [...marks.strokes, marks.drawing] : marks.strokes;
  pen.lineCap = pen.lineJoin = "round";
  pen.strokeStyle = pen.fillStyle = "rgb(214 40 40 / 60%)";
  for (const stroke of strokes) {
    pen.lineWidth = stroke.width;
    pen.beginPath();
    stroke.points.forEach(([x, y], index) => (index ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    if (stroke.points.length === 1) pen.lineTo(stroke.points[0][0] + 0.01, stroke.points[0][1]);
    pen.stroke();
  }
  const dragged = marks.drawing?.box;
  for (const box of [...marks.ignore, ...(dragged && marks.drawing.tool === "ignore" ? [dragged] : [])]) pen.fillRect(...box);
  const only = dragged && marks.drawing.tool === "box" ? dragged : marks.box;
  if (only) {
    pen.fillStyle = "rgb(8 14 24 / 55%)";
    pen.beginPath(); pen.rect(0, 0, marks.width, marks.height); pen.rect(...only); pen.fill("evenodd");
    pen.strokeStyle = "#35b0ff"; pen.lineWidth = thin; pen.strokeRect(...only);
  }
}
function startDrawing() {
  const canvas = $("#canvas");
  const place = (event) => {
    const rect = canvas.getBoundingClientRect();
    const inside = (value, most) => Math.min(most, Math.max(0, Math.round(value)));
    return [inside((event.clientX - rect.left) / rect.width * marks.width, marks.width),
      inside((event.clientY - rect.top) / rect.height * marks.height, marks.height)];
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    const tool = $("input[name=tool]:checked").value;
    const from = place(event);
    marks.drawing = tool === "brush"
      ? { tool, width: Math.max(1, Math.round(Number($("#brush").value) / 100 * Math.max(marks.width, marks.height))), points: [from] }
      : { tool, from, box: null };
    paint();
  });
  canvas.addEventListener("pointermove", (event) => {
    const drawing = marks.drawing;
    if (!drawing) return;
    const [x, y] = place(event);
    if (drawing.points) drawing.points.push([x, y]);
    else drawing.box = [Math.min(x, drawing.from[0]), Math.min(y, drawing.from[1]), Math.abs(x - drawing.from[0]), Math.abs(y - drawing.from[1])];
    paint();
  });
  const done = () => {
    const drawing = marks.drawing;
    if (!drawing) return;
    marks.drawing = null;
    if (drawing.points) {
      // A point in two hundred of the side is as fine as a hand draws.
      marks.strokes.push({ width: drawing.width, points: thinned(drawing.points) });
      marks.order.push(["strokes"]);
    } else if (drawing.box && drawing.box[2] > 2 && drawing.box[3] > 2) {
      if (drawing.tool === "box") { marks.order.push(["box", marks.box]); marks.box = drawing.box; }
      else { marks.ignore.push(drawing.box); marks.order.push(["ignore"]); }
    }
    marked();
  };
  canvas.addEventListener("pointerup", done);
  canvas.addEventListener("pointercancel", done);
  $("#undo").addEventListener("click", () => {
    const last = marks.order.pop();
    if (!last) return;
    if (last[0] === "box") marks.box = last[1]; else marks[last[0]].pop();
    marked();
  });
  $("#clear").addEventListener("click", clearMarks);
  $("#box-text").addEventListener("change", tried(async () => { marks.box = boxes($("#box-text").value)[0] || null; marked(); }));
  $("#ignore-text").addEventListener("change", tried(async () => { marks.ignore = boxes($("#ignore-text").value); marked(); }));
  $("#query-picture").addEventListener("load", paint);
  addEventListener("resize", paint);
}
function thinned(points) {
  const least = Math.max(marks.width, marks.height) / 200;
  const kept = [points[0]];
  for (const point of points) {
    const last = kept[kept.length - 1];
    if (Math.hypot(point[0] - last[0], point[1] - last[1]) >= least) kept.push(point);
  }
  return kept;
}

// --- matches: searching and paging

async function search() {
  const form = $("#search");
  const round = ++state.asked;
  closeCompare();
  $("#results").classList.add("busy");
  try {
    const given = await json("/searches", { body: {
      query: state.query, box: marks.box, ignore: marks.ignore, strokes: marks.strokes, regions: form.regions.checked,
      label: form.label.value, source: form.source.value, since: form.since.value, until: form.until.value } });
    if (round !== state.asked) return;
    state.search = given.search;
    $("#bar").hidden = false;
    await page(0);
    $(".card")?.focus({ preventScroll: true });
    say("Verifying the nearest by geometry…");
    const verified = await json(`/searches/${given.search}/verify`, { body: {} });
    // A reader who is already looking closely is not pulled away.
    if (round !== state.asked || verified.search !== state.search) return;
    if (state.comparing === null && state.page === 0) await page(0, state.items[state.at]);
    say("Verified: matches that geometry confirms come first");
  } finally {
    if (round === state.asked) $("#results").classList.remove("busy");
  }
}
async function page(number, keep) {
  const by = $("#by").value;
  const asked = new URLSearchParams({ page: number, states: $("#states").value, least: $("#least").value,
    by: by === "item" ? "item" : "label", column: by === "item" ? "label" : by });
  const given = await json(`/searches/${state.search}?${asked}`);
  hide();
  Object.assign(state, { page: given.page, pages: given.pages, items: given.items });
  put($("#results"), given.html);
  $("#results").classList.remove("busy");
  $("#summary").textContent = given.said;
  $("#pages").hidden = given.pages < 2;
  $("#page-of").textContent = `Page ${given.page + 1} of ${given.pages}`;
  $("#previous").disabled = given.page === 0;
  $("#next").disabled = given.page + 1 >= given.pages;
  select(keep === undefined ? 0 : Math.max(0, state.items.indexOf(keep)), false);
}
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
  hide();
  if (to >= state.items.length && state.page + 1 < state.pages) {
    await page(state.page + 1);
    if (state.comparing !== null) await compare(); else select(0);
  } else if (to < 0 && state.page > 0) {
    await page(state.page - 1);
    select(state.items.length - 1, state.comparing === null);
    if (state.comparing !== null) await compare();
  } else if (to >= 0 && to < state.items.length) {
    select(to, state.comparing === null);
    if (state.comparing !== null) await compare();
  }
}

// --- matches: comparing

let geometry = null;
async function compare() {
  const item = state.items[state.at];
  if (item === undefined) return;
  const search = state.search;
  const place = $("#comparing");
  put(place, await html(`/searches/${search}/items/${item}`));
  state.comparing = item;
  geometry = null;
  place.hidden = false;
  $("#results").hidden = $("#pages").hidden = $("#bar").hidden = true;
  holdable($('[data-do="hold"]', place), () => $$("#two img[data-side]"));
  $("#decide").addEventListener("submit", (event) => event.preventDefault());
  pressed();
  $$("#two img[data-side]").forEach((picture) => picture.addEventListener("load", () => {
    if (geometry === null) picture.style.setProperty("--ratio", picture.naturalWidth / picture.naturalHeight);
  }));
  $("h2", place).focus({ preventScroll: true });
  scrollTo(0, 0);
  try {
    const found = await json(`/searches/${search}/items/${item}/geometry`);
    if (state.comparing !== item) return;
    geometry = found;
    told(found);
    const drawn = () => { if (geometry === found) draw(); };
    $$("#two img[data-side]").forEach((picture) => {
      const px = picture.dataset.side === "query" ? found.query_px : found.item_px;
      picture.style.setProperty("--ratio", px[0] / px[1]);
      picture.addEventListener("load", drawn);
    });
    if (found.heat) $$("#two img.heat").forEach((layer) => {
      layer.addEventListener("load", drawn);
      load(layer, `/searches/${search}/items/${item}/heat/${layer.dataset.heat}`);
    });
    drawn();
  } catch (error) {
    if (state.comparing === item) $("#geometry").textContent = error.message;
  }
}
function told(found) {
  const verdict = $("#geometry");
  verdict.textContent = found.reason;
  verdict.classList.toggle("good", found.verified);
  let numbers = `${found.tentative} pairs of points, ${found.inliers} agree`;
  if (found.error_px !== null) numbers += `, median error ${found.error_px} px`;
  if (found.verified) numbers += `, ${Math.round(found.overlap * 100)} % of the item covered`;
  $("#numbers").hidden = false;
  $("#numbers dd").textContent = `${numbers}; score ${found.score.toFixed(4)}`;
}
function draw() {
  const two = $("#two");
  if (!two || !geometry) return;
  const origin = two.getBoundingClientRect();
  const at = {};
  for (const picture of $$("img[data-side]", two)) {
    const rect = picture.getBoundingClientRect();
    const px = picture.dataset.side === "query" ? geometry.query_px : geometry.item_px;
    at[picture.dataset.side] = (x, y) => [rect.left - origin.left + x / px[0] * rect.width, rect.top - origin.top + y / px[1] * rect.height];
    const layer = $(`img[data-heat="${picture.dataset.side}"]`, two);
    const frame = picture.parentElement.getBoundingClientRect();
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
    const frame = add("svg", { x, y, width: right - x, height: bottom - y });
    const points = geometry.outline.map((corner) => at.item(...corner)).map(([a, b]) => `${a - x},${b - y}`);
    add("polygon", { points: points.join(" ") }, frame);
  }
  const step = Math.max(1, Math.ceil(geometry.lines.length / 80));
  for (let index = 0; index < geometry.lines.length; index += step) {
    const [x1, y1, x2, y2] = geometry.lines[index];
    const one = at.query(x1, y1), other = at.item(x2, y2);
    add("line", { x1: one[0], y1: one[1], x2: other[0], y2: other[1] });
    for (const [cx, cy] of [one, other]) add("circle", { cx, cy, r: 3 });
  }
}
addEventListener("resize", draw);
function pressed() {
  $('[data-do="lines"]')?.setAttribute("aria-pressed", String(state.lines));
  $('[data-do="heat"]')?.setAttribute("aria-pressed", String(state.heat));
}
function toggle(what) { state[what] = !state[what]; pressed(); draw(); }
function closeCompare() {
  hide();
  if (state.comparing === null) return;
  state.comparing = null;
  $("#comparing").hidden = true;
  $("#comparing").replaceChildren();
  $("#results").hidden = $("#bar").hidden = false;
  $("#pages").hidden = state.pages < 2;
}
async function back() {
  const item = state.comparing;
  closeCompare();
  await page(state.page, item);
  select(state.at);
}

// --- matches: deciding

let deciding = false;
async function decide(verdict) {
  const item = state.items[state.at];
  if (item === undefined || deciding) return;
  deciding = true;
  try {
    if (!state.examiner && !(await name())) return;
    const note = state.comparing === null ? "" : $("#decide input").value;
    const given = await json("/decisions", { body: { search: state.search, item, verdict, note } });
    say(`Item ${item} ${given.verdict} by ${given.examiner}`);
    if (state.comparing !== null) { await compare(); return; }
    const card = $("#results .card.on");
    card.dataset.state = given.verdict;
    $(".state", card)?.remove();
    const tag = document.createElement("span");
    tag.className = `state ${given.verdict}`;
    tag.textContent = given.verdict;
    $(".frame", card).append(tag);
    card.setAttribute("aria-label", card.getAttribute("aria-label").replace(/, (open|confirmed|rejected)$/, `, ${given.verdict}`));
  } finally {
    deciding = false;
  }
}

// --- pages

const pagesOf = {
  matches(last) {
    startDrawing();
    $("#file").addEventListener("change", tried(async (event) => { await upload(event.target.files); event.target.value = ""; }));
    const drop = $("#drop");
    for (const kind of ["dragover", "dragleave", "drop"]) {
      drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.toggle("over", kind === "dragover"); });
    }
    drop.addEventListener("drop", tried(async (event) => upload(event.dataTransfer.files)));
    $("#choose").addEventListener("submit", tried(async (event) => {
      event.preventDefault();
      await takeTray(await json("/queries/item", { body: { item: event.target.item.value } }));
    }));
    const browse = tried(async (after) => {
      const form = $("#search");
      const asked = new URLSearchParams({ after, label: form.label.value, source: form.source.value, since: form.since.value, until: form.until.value });
      put($("#browsed"), await html(`/items?${asked}`));
      if (!$("#browsing").open) $("#browsing").showModal();
    });
    $("#browse").addEventListener("click", () => browse("0"));
    $("#browsed").addEventListener("click", tried(async (event) => {
      const button = event.target.closest("button");
      if (button?.dataset.after) await browse(button.dataset.after);
      else if (button?.dataset.take) {
        await takeTray(await json("/queries/item", { body: { item: button.dataset.take } }));
        $("#browsing").close();
      }
    }));
    $("#tray").addEventListener("click", tried(async (event) => {
      const row = event.target.closest(".query");
      if (!row) return;
      const query = Number(row.dataset.query);
      if (!event.target.closest(".remove")) { pick(query); return; }
      await takeTray(await json(`/queries/${query}/remove`, { body: {} }));
      if (state.query === query) { state.query = null; $("#marking").hidden = true; $("#go").disabled = true; }
    }));
    holdable($("#hold-query"), () => [$("#query-picture")]);
    $("#search").addEventListener("submit", (event) => { event.preventDefault(); tried(search)(); });
    for (const id of ["by", "states", "least"]) $(`#${id}`).addEventListener("change", tried(() => page(0)));
    $("#previous").addEventListener("click", tried(() => page(state.page - 1)));
    $("#next").addEventListener("click", tried(() => page(state.page + 1)));
    $("#results").addEventListener("click", (event) => {
      const card = event.target.closest(".card");
      if (card) select($$("#results .card").indexOf(card));
    });
    $("#results").addEventListener("dblclick", (event) => { if (event.target.closest(".card")) tried(compare)(); });
    $("#comparing").addEventListener("click", tried(async (event) => {
      const what = event.target.closest("[data-do]")?.dataset.do;
      if (what === "back") await back();
      if (what === "lines" || what === "heat") toggle(what);
      if (what === "next" || what === "previous") await move(what === "next" ? 1 : -1);
      if (what === "confirm" || what === "reject") await decide(what === "confirm" ? "confirmed" : "rejected");
    }));
    // What was searched last stands again when one comes back from another page.
    const row = $(`.query[data-query="${last.query}"]`) || $(".query");
    if (row) pick(Number(row.dataset.query));
    if (last.search) {
      state.search = last.search;
      $("#bar").hidden = false;
      tried(page)(0);
    }
    if (!state.examiner) name();
  },

  groups() {
    const shown = (given) => {
      put($("#groups"), given.html);
      if (given.running) setTimeout(tried(async () => shown(await json("/groups/found", { quiet: true }))), 700);
    };
    $("#group-form").addEventListener("submit", tried(async (event) => {
      event.preventDefault();
      shown({ ...await json("/groups/start", { body: { least: event.target.least.value } }), running: true });
    }));
    $("#groups").addEventListener("click", tried(async (event) => {
      const button = event.target.closest("button");
      if (button?.dataset.page) shown(await json(`/groups/found?page=${button.dataset.page}`));
      if (button?.dataset.group) {
        put($("#spread"), await html(`/groups/${button.dataset.group}`));
        $("#spreading").showModal();
        $("#spread .card")?.focus();
      }
    }));
    if ($("#groups progress")) shown({ html: $("#groups").innerHTML, running: true });
  },

  audit() {
    $("#entries").addEventListener("click", tried(async (event) => {
      const end = event.target.closest("button")?.dataset.end;
      if (end) { put($("#entries"), await html(`/audit/entries?end=${end}`)); scrollTo(0, 0); }
    }));
    $("#audit-verify").addEventListener("click", tried(async () => {
      const { faults } = await json("/audit/verify", { body: {} });
      const verdict = $("#audit-verdict");
      verdict.textContent = faults.length ? `${faults.length} faults: ${faults[0]}` : "The chain is whole: no entry was changed, added or taken out.";
      verdict.className = faults.length ? "bad" : "good";
    }));
  },

  export() {
    $("#export-form").addEventListener("submit", tried(async (event) => {
      event.preventDefault();
      const form = event.target;
      const button = $("button.main", form);
      button.disabled = true;
      $("#exported").textContent = "Writing…";
      try {
        const given = await json("/export", { body: { folder: form.folder.value, k: Number(form.k.value), images: form.images.checked, reveal: form.reveal.checked,
          searches: $$("input[name=searches]:checked", form).map((box) => Number(box.value)) } });
        $("#exported").textContent = `Written: ${given.written}`;
        $("#exported").className = "good";
      } catch (error) {
        $("#exported").textContent = error.message;
        $("#exported").className = "bad";
      } finally {
        button.disabled = false;
      }
    }));
  },
};

// --- keys

const keys = {
  j: () => move(1), ArrowRight: () => move(1), ArrowDown: () => move(rowStep()), k: () => move(-1), ArrowLeft: () => move(-1), ArrowUp: () => move(-rowStep()),
  Enter: () => (state.comparing === null ? compare() : undefined), Escape: () => (state.comparing === null ? undefined : back()),
  c: () => decide("confirmed"), r: () => decide("rejected"), l: () => toggle("lines"), h: () => toggle("heat"),
  n: () => (state.page + 1 < state.pages && state.comparing === null ? page(state.page + 1) : undefined),
  p: () => (state.page > 0 && state.comparing === null ? page(state.page - 1) : undefined),
};
function rowStep() {
  if (state.comparing !== null) return 1;
  const cards = $$("#results .card");
  const next = cards.findIndex((card, index) => index > 0 && card.offsetTop > cards[0].offsetTop);
  return next > 0 && state.at + next < cards.length ? next : 1;
}
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || !document.body.dataset.page) return;
  const typing = event.target.closest("input:not([type=checkbox]), select, textarea");
  if (event.key === "Escape" && typing) { typing.blur(); return; }
  if (typing) return;
  if (event.key === "s" && !event.repeat) { show(chosenPictures()); return; }
  if ($("dialog[open]")) return;
  if (event.key === "?") { $("#helping").showModal(); return; }
  if (event.key === "g") { setGrey(!state.grey); return; }
  if (event.key === "Enter" && event.target.closest("button, a, summary, label")) return;
  if (state.search === null || document.body.dataset.page !== "matches" || !(event.key in keys)) return;
  event.preventDefault();
  tried(async () => keys[event.key]())();
});
addEventListener("keyup", (event) => { if (event.key === "s") hide(); });

// --- coming in

async function begin() {
  try {
    await enter();
    const here = { "/groups": "groups", "/audit": "audit", "/export": "export" }[location.pathname] || "matches";
    const given = await json(`/pages/${here}`);
    put(document.body, given.html);
    document.body.dataset.page = here;
    document.title = given.title;
    state.examiner = given.examiner;
    watch(given.left_s);
    head();
    pagesOf[here](given);
  } catch (error) {
    if (!session.over) over(error.message);
  }
}
begin();
