// What each page does when it is there.
"use strict";

const closer = {
  back: () => back(), lines: () => toggle("lines"), heat: () => toggle("heat"), keep: () => keepShown(),
  larger: () => sides().forEach((picture) => zoom(picture, 1.5)), smaller: () => sides().forEach((picture) => zoom(picture, 1 / 1.5)),
  fit: () => sides().forEach(reset), full: () => full(), next: () => move(1), previous: () => move(-1),
  undo: () => undo([{ search: state.search, item: state.comparing }]),
};

const pagesOf = {
  matches(last) {
    startDrawing();
    $("#file").addEventListener("change", tried(async (event) => {
      const files = [...event.target.files];
      event.target.value = "";
      await upload(files);
    }));
    const drop = $("#drop");
    for (const kind of ["dragover", "dragleave", "drop"]) {
      drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.toggle("over", kind === "dragover"); });
    }
    drop.addEventListener("drop", tried(async (event) => upload(event.dataTransfer.files)));
    const take = async (item) => {
      await takeTray(await json("/queries/item", { body: { item } }));
      $("#browsing").close();
    };
    $("#choose").addEventListener("submit", tried(async (event) => {
      event.preventDefault();
      await take(event.target.item.value);
    }));
    const browse = tried(async (after) => {
      const form = $("#search");
      const wanted = new URLSearchParams({ after, label: form.label.value, source: form.source.value, since: form.since.value, until: form.until.value });
      put($("#browsed"), await html(`/items?${wanted}`));
      if (!$("#browsing").open) $("#browsing").showModal();
    });
    $("#browse").addEventListener("click", () => browse("0"));
    $("#browsed").addEventListener("click", tried(async (event) => {
      const button = event.target.closest("button");
      if (button?.dataset.after) await browse(button.dataset.after);
      else if (button?.dataset.take) await take(button.dataset.take);
    }));
    $("#tray").addEventListener("change", several);
    $("#tray").addEventListener("click", tried(async (event) => {
      const row = event.target.closest(".query");
      if (!row || event.target.closest(".with")) return;
      const query = Number(row.dataset.query);
      if (!event.target.closest(".remove")) { pick(query); return; }
      await takeTray(await json(`/queries/${query}/remove`, { body: {} }));
      if (state.query === query) { state.query = null; $("#marking").hidden = true; $("#go").disabled = true; }
    }));
    holdable($("#hold-query"), () => [$("#query-picture")]);
    $("#keep-query").addEventListener("click", tried((event) => pin(event.target.closest("button"), [$("#query-picture")])));
    $("#search").addEventListener("submit", (event) => { event.preventDefault(); tried(search)(); });
    for (const id of ["by", "states", "least"]) {
      $(`#${id}`).addEventListener("change", tried((event) => go(addressOf(state.search, null, asked({ page: 0, [id]: event.target.value })))));
    }
    $("#searches").addEventListener("change", tried((event) => go(addressOf(event.target.value, null, ""))));
    $("#previous").addEventListener("click", tried(() => turn(state.page - 1)));
    $("#next").addEventListener("click", tried(() => turn(state.page + 1)));
    $("#mark-all").addEventListener("click", () => {
      const boxes = $$("#results .marking");
      const all = boxes.every((box) => box.checked);
      boxes.forEach((box) => { box.checked = !all; });
      marking();
    });
    $("#results").addEventListener("change", marking);
    $("#results").addEventListener("click", (event) => {
      const card = event.target.closest(".card");
      if (!card) return;
      select($$("#results .card").indexOf(card), false);
      if (event.target.closest("a, button, label, input") || event.ctrlKey || event.metaKey || event.shiftKey) return;
      tried(() => go(addressOf(state.search, Number(card.dataset.item))))();
    });
    const shownMarked = () => [$("#query-picture"), ...markedCards().map(pictureOf)];
    holdable($("#hold-marked"), shownMarked);
    $("#grading").addEventListener("submit", (event) => event.preventDefault());
    $("#unmark").addEventListener("click", unmark);
    const grade = tried(async (event) => {
      const verdict = event.target.closest("[data-grade]")?.dataset.grade;
      if (verdict) await decide(verdict);
    });
    $("#grading").addEventListener("click", grade);
    $("#comparing").addEventListener("click", grade);
    $("#comparing").addEventListener("click", tried(async (event) => {
      const button = event.target.closest("[data-do], [data-take]");
      const what = button?.dataset.do;
      if (button?.dataset.take) { await take(button.dataset.take); await tried(search)(); }
      if (what in closer) await closer[what]();
    }));
    if (!here().kind && last.search) history.replaceState(null, "", addressOf(last.search, null, ""));
    const row = $(".query");
    if (row) pick(Number(row.dataset.query));
    tried(route)();
    if (!state.examiner) name();
  },

  faces() {
    const form = $("#face-form");
    if (!form) return;
    form.addEventListener("submit", (event) => event.preventDefault());
    const frame = $("#face-picture"), picture = $("#face-picture img");
    let query = null;
    const reason = () => { if (!form.reason.value.trim()) { form.reason.focus(); throw new Error(t("Say why this person is looked for")); } return form.reason.value; };
    const find = tried(async (face) => {
      $$(".face", frame).forEach((one) => one.setAttribute("aria-pressed", String(one.dataset.face === String(face))));
      $("#face-said").textContent = t("Searching…");
      const given = await json("/faces/found", { body: { query, face, reason: reason(), unfit: form.unfit.checked } });
      $("#face-said").textContent = t("Face {0}: {1} [1 lead|leads]", face, given.matches);
      put($("#faces-found"), given.html);
      $$("#faces-found .card").forEach((card) => holdable($(".look", card), () => [pictureOf(card)]));
    });
    $("#face-queries").addEventListener("click", tried(async (event) => {
      const row = event.target.closest(".query");
      if (!row || event.target.closest(".with, .remove")) return;
      const why = reason();
      query = Number(row.dataset.query);
      picture.dataset.query = query;
      picture.dataset.picture = `/queries/${query}/picture`;
      frame.hidden = false;
      await load(picture);
      $$(".face", frame).forEach((one) => one.remove());
      put($("#faces-found"), "");
      $("#face-said").textContent = t("Looking for faces…");
      const { faces } = await json("/faces/of", { body: { query, reason: why } });
      $("#face-said").textContent = faces.length ? t("{0} [0 face|faces]: choose one", faces.length) : t("No face was found in this picture");
      for (const { number, box, unfit } of faces) {
        const button = document.createElement("button");
        button.type = "button";
        button.className = unfit ? "face faint" : "face";
        button.dataset.face = number;
        button.textContent = number;
        button.title = unfit ? t("Not fit to be compared: {0}", unfit) : t("Search with this face");
        button.setAttribute("aria-label", unfit ? t("Search with face {0}, not fit to be compared: {1}", number, unfit) : t("Search with face {0}", number));
        ["left", "top", "width", "height"].forEach((side, at) => { button.style[side] = `${100 * box[at]}%`; });
        button.addEventListener("click", () => find(number));
        frame.append(button);
      }
    }));
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
        const cards = $$("#spread .card");
        holdable($('#spread [data-do="hold-group"]'), () => cards.map(pictureOf));
        $("#spreading").showModal();
        $("#spread .card")?.focus();
      }
    }));
    $("#spread").addEventListener("submit", (event) => event.preventDefault());
    $("#spread").addEventListener("click", tried(async (event) => {
      const button = event.target.closest("[data-grade]");
      if (!button) return;
      const form = button.form;
      await decideOn({ group: Number(form.dataset.group), note: form.note.value }, button.dataset.grade);
    }));
    if ($("#groups progress")) shown({ html: $("#groups").innerHTML, running: true });
  },

  decisions() {
    const shown = tried(async (page = 0) => {
      const wanted = new URLSearchParams({ state: $("#made-state")?.value || "", page });
      put($("#made"), await html(`/decisions/made?${wanted}`));
      $$("#made .pair-row").forEach((row) => holdable($('[data-do="hold-pair"]', row), () => $$("img[data-clear], img[data-query]", row)));
    });
    $("#made").addEventListener("change", () => shown());
    $("#made").addEventListener("click", tried(async (event) => {
      const button = event.target.closest("button");
      if (button?.dataset.page) { await shown(button.dataset.page); scrollTo(0, 0); }
      if (button?.dataset.do === "undo") {
        const { query, item } = button.closest(".pair-row").dataset;
        if (!state.examiner && !(await name())) return;
        const given = await json("/decisions/undo", { body: { query_sha256: query, item_sha256: item } });
        say(t("Taken back; what stands now: {0}", t(given.stands)));
        await shown();
      }
      if (button?.dataset.do === "compare") {
        const query = button.dataset.pairHeld ? Number(button.dataset.pairHeld) : (await json("/queries/item", { body: { item: button.dataset.pairQuery } })).query;
        const found = await json("/searches", { body: { queries: [query], regions: true } });
        location.href = `/${addressOf(found.search, button.dataset.pairItem, "")}`;
      }
    }));
    shown();
  },

  issues() {
    const shown = tried(async (kind = "", page = 0) => put($("#issues"), await html(`/issues/found?${new URLSearchParams({ kind, page })}`)));
    $("#issues").addEventListener("click", (event) => {
      const button = event.target.closest("button");
      const kind = $('#issues [aria-pressed="true"]')?.dataset.kind || "";
      if (button?.dataset.page) shown(kind, button.dataset.page);
      else if (button) shown(button.dataset.kind);
    });
    shown();
  },

  map: tried(async () => {
    put($("#map"), await html("/map/spots"));
    const world = $("#world");
    if (!world) return;
    const view = { x: 0, y: 0, w: 3600 };
    const set = () => {
      view.w = Math.min(3600, Math.max(20, view.w));
      view.x = Math.min(3600 - view.w, Math.max(0, view.x));
      view.y = Math.min(1800 - view.w / 2, Math.max(0, view.y));
      world.setAttribute("viewBox", `${view.x} ${view.y} ${view.w} ${view.w / 2}`);
      const r = 7 * view.w / Math.max(240, world.clientWidth);
      $$("circle", world).forEach((mark) => mark.setAttribute("r", mark.classList.contains("on") ? r * 1.7 : r));
    };
    const zoomed = (times, px = 0.5, py = 0.5) => {
      const w = Math.min(3600, Math.max(20, view.w / times));
      view.x += (view.w - w) * px; view.y += (view.w - w) / 2 * py; view.w = w;
      set();
    };
    world.addEventListener("wheel", (event) => {
      event.preventDefault();
      const box = world.getBoundingClientRect();
      zoomed(Math.exp(-event.deltaY * 0.0018), (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
    }, { passive: false });
    let from = null;
    world.addEventListener("pointerdown", (event) => { from = { x: event.clientX, y: event.clientY, view: { ...view }, moved: false }; });
    addEventListener("pointermove", (event) => {
      if (!from) return;
      const scale = view.w / world.clientWidth;
      from.moved ||= Math.hypot(event.clientX - from.x, event.clientY - from.y) > 4;
      view.x = from.view.x - (event.clientX - from.x) * scale; view.y = from.view.y - (event.clientY - from.y) * scale;
      set();
    });
    addEventListener("pointerup", () => { setTimeout(() => { from = null; }); });
    const there = tried(async (spot) => {
      $$("#map [data-spot]").forEach((one) => one.classList.toggle("on", one.dataset.spot === spot));
      const button = $(`#places [data-spot="${spot}"]`);
      button.scrollIntoView({ block: "nearest" });
      set();
      put($("#there"), await html(`/map/items?ids=${button.dataset.ids}`));
    });
    $("#map").addEventListener("click", (event) => {
      const spot = event.target.closest("[data-spot]");
      if (spot && !from?.moved) there(spot.dataset.spot);
      const times = event.target.closest("[data-zoom]")?.dataset.zoom;
      if (times !== undefined) { if (times === "0") Object.assign(view, { x: 0, y: 0, w: 3600 }); zoomed(Number(times) || 1); }
    });
    addEventListener("resize", set);
    set();
  }),

  audit() {
    $("#entries").addEventListener("click", tried(async (event) => {
      const end = event.target.closest("button")?.dataset.end;
      if (end) { put($("#entries"), await html(`/audit/entries?end=${end}`)); scrollTo(0, 0); }
    }));
    $("#audit-verify").addEventListener("click", tried(async () => {
      const { faults } = await json("/audit/verify", { body: {} });
      const verdict = $("#audit-verdict");
      verdict.textContent = faults.length ? t("{0} [0 fault|faults]: {1}", faults.length, faults[0]) : t("The chain is whole: no entry was changed, added or taken out.");
      verdict.className = faults.length ? "bad" : "good";
    }));
  },

  export() {
    $("#export-form").addEventListener("submit", tried(async (event) => {
      event.preventDefault();
      const form = event.target;
      const button = $("button.main", form);
      button.disabled = true;
      $("#exported").textContent = t("Writing…");
      try {
        const given = await json("/export", { body: { folder: form.folder.value, k: Number(form.k.value), images: form.images.checked, reveal: form.reveal.checked, recipient: form.recipient.value, purpose: form.purpose.value,
          searches: $$("input[name=searches]:checked", form).map((box) => Number(box.value)) } });
        $("#exported").textContent = t("Written: {0}", given.written);
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
