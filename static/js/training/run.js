// A training run's page: learning curves, refreshed until the run is settled.
import { fragment, poll } from "../http.js";
import { showTimes } from "../times.js";
import { gettext, interpolate } from "../gettext.js";

const WIDTH = 480;
const HEIGHT = 180;
const LEFT = 44;
const BOTTOM = 20;
const box = document.querySelector("[data-run]");

function make(name, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

/** Points of one metric, [[epoch, value]], without missing values. */
const series = (curve, name) =>
  curve.filter((point) => Number.isFinite(point[name])).map((point) => [point.epoch, point[name]]);

const nameOf = (metric) => ({
  loss: gettext("loss"), val_loss: gettext("validation loss"), val_balanced_accuracy: gettext("balanced accuracy"),
})[metric];

function empty(place) {
  const note = document.createElement("p");
  note.className = "empty-chart";
  note.textContent = gettext("Available after the first epoch");
  place.replaceChildren(note);
}

function chart(place, curve) {
  const names = place.dataset.chart.split(" ");
  const lines = names.map((name) => series(curve, name));
  const all = lines.flat();
  if (!all.length) return empty(place);
  const last = Math.max(2, ...all.map(([epoch]) => epoch));
  let low = Math.min(...all.map(([, value]) => value));
  let high = Math.max(...all.map(([, value]) => value));
  if (high - low < 0.02) [low, high] = [low - 0.01, high + 0.01];
  const x = (epoch) => LEFT + ((epoch - 1) / (last - 1)) * (WIDTH - LEFT - 8);
  const y = (value) => 8 + (1 - (value - low) / (high - low)) * (HEIGHT - BOTTOM - 8);
  const latest = names.map((name, i) => `${nameOf(name)} ${lines[i].at(-1)?.[1].toFixed(3) ?? gettext("unknown")}`);
  const svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
  svg.setAttribute("aria-label", interpolate(gettext("After epoch %(epoch)s: %(values)s"), { epoch: all.at(-1)[0], values: latest.join(", ") }));
  for (const value of [low, (low + high) / 2, high]) {
    svg.append(make("line", { x1: LEFT, x2: WIDTH - 8, y1: y(value), y2: y(value), class: "chart-grid" }));
    svg.append(make("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end", class: "chart-text" }, value.toFixed(2)));
  }
  svg.append(make("text", { x: LEFT, y: HEIGHT - 4, class: "chart-text" }, gettext("epoch 1")));
  svg.append(make("text", { x: WIDTH - 8, y: HEIGHT - 4, "text-anchor": "end", class: "chart-text" }, last));
  lines.forEach((points, i) => {
    const kind = names.length > 1 && i === 0 ? "chart-line second" : "chart-line";
    const path = points.map(([epoch, value]) => `${x(epoch)},${y(value)}`).join(" ");
    if (points.length === 1) svg.append(make("circle", { cx: x(points[0][0]), cy: y(points[0][1]), r: 3, class: kind }));
    else svg.append(make("polyline", { points: path, class: kind }));
  });
  place.replaceChildren(svg);
}

function draw() {
  const curve = JSON.parse(document.getElementById("curve")?.textContent || "[]");
  for (const place of box.querySelectorAll("[data-chart]")) chart(place, curve);
}

async function refresh() {
  const open = [...box.querySelectorAll("details")].map((one) => one.open);
  box.innerHTML = await fragment(box.dataset.run);
  box.querySelectorAll("details").forEach((one, i) => {
    one.open = open[i] ?? one.open;
  });
  showTimes(box);
  draw();
  return !box.querySelector("[data-settled]");
}

if (box) {
  draw();
  if (!box.querySelector("[data-settled]")) poll(refresh, { first: 2000, slowest: 4000 });
}
