// The scan page: viewer, heatmap controls, keys, and the evidence panel that fills in by itself.
import { fragment, poll } from "../http.js";
import { onKeys } from "../keys.js";
import { showTimes } from "../times.js";
import { watchMove } from "./move.js";
import { paint, paintLegend, strongest } from "./overlay.js";
import { Viewer } from "./viewer.js";

const page = document.querySelector("[data-scan]");
const evidence = page.querySelector("[data-evidence]");
const size = { rows: Number(page.dataset.rows), columns: Number(page.dataset.columns) };
const canvas = page.querySelector("[data-viewer]");
const viewer = canvas && new Viewer(canvas);
const remembered = { opacity: sessionStorage.getItem("opacity") ?? "0.6", finding: null, shown: true };

function camNow() {
  const data = evidence.querySelector("#cam");
  return data ? JSON.parse(data.textContent) : null;
}

function showHeatmap() {
  const controls = evidence.querySelector("[data-heatmap]");
  const cam = camNow();
  if (!viewer || !controls || !cam) return;
  const [choice, opacity] = [controls.querySelector("[data-finding]"), controls.querySelector("[data-opacity]")];
  if (remembered.finding) choice.value = remembered.finding;
  opacity.value = remembered.opacity;
  const redraw = () => {
    viewer.overlay = paint(cam, choice.value, size);
    controls.querySelector("[data-strongest]").textContent = strongest(cam, choice.value).toFixed(2);
  };
  const fade = () => {
    viewer.opacity = remembered.shown ? Number(opacity.value) : 0;
    controls.querySelector("[data-opacity-now]").textContent = `${Math.round(opacity.value * 100)} %`;
  };
  choice.addEventListener("change", () => { remembered.finding = choice.value; redraw(); });
  opacity.addEventListener("input", () => {
    remembered.opacity = opacity.value;
    remembered.shown = true;
    sessionStorage.setItem("opacity", opacity.value);
    fade();
  });
  paintLegend(controls.querySelector("[data-legend]"));
  redraw();
  fade();
}

function turnHeatmap() {
  remembered.shown = !remembered.shown;
  const opacity = evidence.querySelector("[data-opacity]");
  if (opacity) viewer.opacity = remembered.shown ? Number(opacity.value) : 0;
}

function stepOpacity(step) {
  const opacity = evidence.querySelector("[data-opacity]");
  if (!opacity) return;
  opacity.value = Number(opacity.value) + step;
  opacity.dispatchEvent(new Event("input"));
}

function nextFinding() {
  const choice = evidence.querySelector("[data-finding]");
  if (!choice) return;
  choice.selectedIndex = (choice.selectedIndex + 1) % choice.options.length;
  choice.dispatchEvent(new Event("change"));
}

function readOut({ width, level, zoom, inverted }) {
  // The preview is the file's own window, so its 8 bits tell display values, and those modality values.
  const [windowWidth, center, slope, intercept] = ["windowWidth", "windowCenter", "slope", "intercept"]
    .map((name) => Number(page.dataset[name]));
  const perGrey = windowWidth / 255;
  const inModality = (center + (level - 127.5) * perGrey) * slope + intercept;
  const shown = `W ${Math.round(width * perGrey * Math.abs(slope))} L ${Math.round(inModality)}`;
  page.querySelector("[data-read-out]").textContent = `${shown}   zoom ${zoom.toFixed(1)}${inverted ? "   inverted" : ""}`;
}

const follow = (selector) => () => document.querySelector(selector)?.click();
const actions = viewer && {
  fit: () => viewer.fit(), invert: () => viewer.invert(), reset: () => viewer.reset(), heatmap: turnHeatmap,
  in: () => viewer.zoom(1.25), out: () => viewer.zoom(0.8),
};

let lastSeen = "";
async function refresh() {
  const html = await fragment(page.dataset.state);
  const fresh = new DOMParser().parseFromString(html, "text/html").body.firstElementChild;
  if (fresh.dataset.picture !== evidence.dataset.picture) {
    location.reload();
    return false;
  }
  if (html !== lastSeen) {
    evidence.replaceChildren(...fresh.childNodes);
    lastSeen = html;
    showTimes(evidence);
    showHeatmap();
  }
  return fresh.dataset.pending === "1";
}

if (viewer) {
  viewer.onChange = readOut;
  viewer.load(canvas.dataset.viewer).then(() => { page.dataset.shown = "1"; }, () => {
    page.querySelector("[data-no-picture]").hidden = false;
  });
  for (const button of page.querySelectorAll("[data-act]")) button.addEventListener("click", actions[button.dataset.act]);
  onKeys({
    f: actions.fit, i: actions.invert, r: actions.reset, h: actions.heatmap, "+": actions.in, "=": actions.in, "-": actions.out,
    "[": () => stepOpacity(-0.1), "]": () => stepOpacity(0.1), c: nextFinding,
    ArrowLeft: () => viewer.pan(40, 0), ArrowRight: () => viewer.pan(-40, 0),
    ArrowUp: () => viewer.pan(0, 40), ArrowDown: () => viewer.pan(0, -40),
    w: () => viewer.shiftWindow(16, 0), W: () => viewer.shiftWindow(-16, 0),
    l: () => viewer.shiftWindow(0, 8), L: () => viewer.shiftWindow(0, -8),
  });
  showHeatmap();
}
onKeys({ j: follow("[rel=next]"), k: follow("[rel=prev]"), u: follow("[data-worklist-link]"), m: () => document.querySelector("#move")?.showModal() });
const moving = document.querySelector("#move");
if (moving) watchMove(moving);
if (evidence.dataset.pending === "1") poll(refresh);
