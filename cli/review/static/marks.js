// Which part of a query counts: boxes and a brush, in the query's own pixels.
"use strict";

const marks = { box: null, ignore: [], strokes: [], order: [], width: 1, height: 1, drawing: null };

function clearMarks() {
  marks.box = null; marks.ignore = []; marks.strokes = []; marks.order = [];
  marked();
}
function marked() {
  if (!$("#box-text")) return;
  $("#box-text").value = marks.box ? marks.box.join(", ") : "";
  $("#ignore-text").value = marks.ignore.map((box) => box.join(", ")).join("; ");
  paint();
}
function boxes(text) {
  return text.split(";").filter((part) => part.trim()).map((part) => {
    const box = part.split(",").map((number) => Number(number.trim()));
    if (box.length !== 4 || !box.every(Number.isInteger)) throw new Error(t("“{0}” is no box; write x, y, width, height", part.trim()));
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
