// The reading page: images, tools, keys, and the evidence panel, which refreshes until the result is there.
import { fragment, poll } from "../http.js";
import { onKeys } from "../keys.js";
import { setPreference } from "../preferences.js";
import { showTimes } from "../times.js";
import { watchMove } from "./move.js";
import { Panel } from "./panel.js";
import { isWindow, readOut, windowOf } from "./presets.js";
import { showSides } from "./sides.js";
import { Undo } from "./undo.js";
import { Viewer } from "./viewer.js";
import { gettext, interpolate } from "../gettext.js";

const page = document.querySelector("[data-scan]");
const evidence = page.querySelector("[data-evidence]");
const figures = [...page.querySelectorAll("[data-viewer]")];
const panel = new Panel();
const TOOLS = ["window", "pan", "zoom", "magnifier", "length", "angle", "rectangle", "ellipse", "probe", "arrow", "cardiothoracic"];
const follow = (selector) => () => document.querySelector(selector)?.click();

function announce(text) {
  page.querySelector("[data-announce]").textContent = text;
}

function fullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else page.querySelector("[data-stage]").requestFullscreen?.();
}

function actionsOf(viewer) {
  const { tools } = viewer;
  const now = () => viewer.active;
  const preset = (name) => () => {
    now().window = windowOf(name, now());
    showPreset(name);
    announce(interpolate(gettext("Window: %(name)s"), { name: page.querySelector(`[data-presets] [value=${name}]`).text }));
  };
  return {
    ...Object.fromEntries(TOOLS.map((name) => [name, () => tools.choose(name)])),
    ...Object.fromEntries(["default", "full-range", "lungs", "bones", "contrast"].map((name) => [name, preset(name)])),
    fit: () => viewer.fit(), actual: () => now().actual(), in: () => now().zoom(1.25), out: () => now().zoom(0.8),
    right: () => now().rotate(90), left: () => now().rotate(-90),
    "flip-horizontal": () => now().flip("Horizontal"), "flip-vertical": () => now().flip("Vertical"),
    invert: () => { now().inverted = !now().inverted; if (viewer.linked) viewer.link(true); },
    reset: () => viewer.reset(), remove: () => tools.marks.removeLast(viewer.activeAt), marks: () => tools.marks.toggle(),
    key: () => tools.keyImages.mark(viewer.activeAt), undo: () => announce(viewer.undo.undo() ? gettext("Undone") : gettext("Nothing to undo")),
    heatmap: () => panel.toggle(), outlines: () => panel.toggleOutlines(), "full-screen": fullScreen, "left-panel": () => togglePanel("left"), "right-panel": () => togglePanel("right"),
    link: () => { viewer.link(!viewer.linked); showLink(viewer); },
  };
}

/** The list of presets shows the one whose window the image has. */
function showPreset(name) {
  page.querySelector("[data-presets]").value = name;
}

function watchPreset(pane) {
  const presets = page.querySelector("[data-presets]");
  if (pane !== viewer.active || isWindow(presets.value, pane)) return;
  showPreset(isWindow("default", pane) ? "default" : "own");
}

function showLink(viewer) {
  page.querySelector("[data-action=link]")?.setAttribute("aria-pressed", String(viewer.linked));
}

function keysOf(viewer, act) {
  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  return {
    ...Object.fromEntries(Object.entries(arrows).map(([key, step]) => [key, (event) => viewer.arrow(...step, { fine: event.shiftKey })])),
    v: act.window, p: act.pan, z: act.zoom, d: act.length, a: act.angle, B: act.rectangle, E: act.ellipse, P: act.probe, A: act.arrow, C: act.cardiothoracic, g: act.magnifier,
    "Shift+1": act.default, "Shift+2": act["full-range"], "Shift+3": act.lungs, "Shift+4": act.bones, "Shift+5": act.contrast,
    f: act.fit, 0: act.actual, "+": act.in, "=": act.in, "-": act.out,
    t: act.right, T: act.left, x: act["flip-horizontal"], y: act["flip-vertical"], i: act.invert, r: act.reset,
    ",": act["left-panel"], ".": act["right-panel"], Delete: act.remove, Backspace: act.remove, M: act.marks, K: act.key, s: act["full-screen"], n: act.link,
    h: act.heatmap, o: act.outlines, c: () => panel.next("finding"), e: () => panel.focusMethod(), q: () => panel.next("colours"),
    "[": () => panel.step("opacity", -0.1), "]": () => panel.step("opacity", 0.1),
    "{": () => panel.step("threshold", -0.05), "}": () => panel.step("threshold", 0.05),
    w: () => viewer.shiftWindow(0.06, 0), W: () => viewer.shiftWindow(-0.06, 0),
    l: () => viewer.shiftWindow(0, 0.03), L: () => viewer.shiftWindow(0, -0.03),
  };
}

const SIDES = { left: ".priors", right: ".evidence" };
const isOpen = (side) => getComputedStyle(page.querySelector(SIDES[side])).display !== "none";

/** Kept for the browser session; comparing has its own, since two images need the space. */
function togglePanel(side) {
  page.dataset[side] = isOpen(side) ? "closed" : "open";
  sessionStorage.setItem(panelKey(side), page.dataset[side]);
  showPanels();
}

const panelKey = (side) => `panel-${side}-${figures.length}`;

function showPanels() {
  for (const button of page.querySelectorAll("[data-panel]")) button.setAttribute("aria-expanded", String(isOpen(button.dataset.panel)));
}

function openPanels() {
  for (const side of Object.keys(SIDES)) {
    const kept = sessionStorage.getItem(panelKey(side));
    if (kept) page.dataset[side] = kept;
  }
  showPanels();
}

/** In full screen the panel is not there: its headline is repeated under the image. */
function showHeadline() {
  const place = page.querySelector("[data-headline]");
  if (place) place.textContent = evidence.querySelector(".headline")?.textContent.trim() ?? "";
}

function focusReading() {
  const form = document.querySelector(".sign-reading");
  if (!form) return;
  if (!isOpen("right")) togglePanel("right");
  form.open = true;
  form.querySelector("input[type=checkbox]").focus();
}

/** The same commands, ignored until the image is shown. */
function whenReady(viewer, commands) {
  return Object.fromEntries(Object.entries(commands).map(([name, run]) => [name, (event) => viewer.active.ready && run(event)]));
}

function listen(viewer) {
  const act = whenReady(viewer, actionsOf(viewer));
  for (const button of page.querySelectorAll("[data-action]")) button.addEventListener("click", () => act[button.dataset.action]());
  const presets = page.querySelector("[data-presets]");
  presets.addEventListener("change", () => act[presets.value]?.());
  onKeys(whenReady(viewer, keysOf(viewer, act)));
  viewer.tools.onChange = (chosen) => {
    for (const button of page.querySelectorAll("[data-tool]")) button.setAttribute("aria-pressed", String(button.dataset.action === chosen));
  };
  viewer.undo = new Undo(viewer.panes);
  viewer.tools.marks.onAction = (action) => viewer.undo.add(action);
  viewer.tools.marks.announce = announce;
  viewer.tools.keyImages.announce = announce;
  document.addEventListener("keydown", (event) => {
    if (event.key !== "z" || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey) return;
    if (event.target.closest?.("input:not([type=checkbox], [type=range]), textarea, select, dialog")) return; // the field's own undo
    event.preventDefault();
    act.undo();
  });
  for (const [at, figure] of figures.entries()) figure.addEventListener("keydown", (event) => markByKey(viewer.tools, at, event));
}

/** Enter sets a mark's points one after another on the focused pane, Escape gives it up. */
function markByKey({ marks, measures }, at, event) {
  if (event.target !== figures[at] || !["Enter", "Escape"].includes(event.key) || !(measures || marks.drafting)) return;
  event.preventDefault();
  if (event.key === "Escape") marks.cancel();
  else if (marks.placing) marks.placing.nextHandle();
  else marks.place(at);
}

const succeeds = (promise) => promise.then(() => true, () => false);

async function show() {
  const images = JSON.parse(page.querySelector("#images").textContent);
  viewer = new Viewer(figures, images);
  viewer.onChange = (pane) => {
    pane.element.closest("[data-viewer]").querySelector("[data-read-out]").textContent = readOut(pane);
    watchPreset(pane);
    if (pane.ready) showSides(pane, pane.element.closest("[data-viewer]"));
    viewer.undo?.changed();
  };
  panel.onChange = (choices) => { viewer.heatChoices = choices; };
  panel.attach(evidence, viewer.panes);
  const shown = await succeeds(viewer.open());
  if (shown) figures.forEach((figure) => figure.querySelector("[data-preview]").remove());
  performance.mark("hilum:shown");
  const equipped = await succeeds(viewer.loadTools(JSON.parse(page.querySelector("#marks").textContent), panel, page));
  if (equipped) listen(viewer);
  page.querySelector("[data-no-image]").hidden = shown && equipped;
  if (!(shown && equipped)) return;
  page.dataset.shown = "1";
  prefetch();
}

/** Loads the next study's image into the browser's cache. */
function prefetch() {
  const { prefetch: next } = evidence.querySelector("[rel=next]")?.dataset ?? {};
  if (!next || navigator.connection?.saveData) return;
  const whenIdle = window.requestIdleCallback ?? ((run) => setTimeout(run, 1000));
  whenIdle(() => fetch(next, { priority: "low" }).then((response) => response.arrayBuffer()).catch(() => {}));
}

let [lastHtml, viewer] = ["", null];
async function refresh() {
  const html = await fragment(page.dataset.state);
  const fresh = new DOMParser().parseFromString(html, "text/html").body.firstElementChild;
  if (fresh.dataset.image !== evidence.dataset.image) {
    location.reload();
    return false;
  }
  if (html !== lastHtml) {
    evidence.replaceChildren(...fresh.childNodes);
    lastHtml = html;
    showHeadline();
    showTimes(evidence);
    if (viewer) panel.attach(evidence, viewer.panes);
  }
  return fresh.dataset.pending === "1";
}

onKeys({
  j: follow("[rel=next]"), k: follow("[rel=prev]"), u: follow("[data-worklist-link]"), b: follow("[data-compare]"), S: follow("[data-other-view]"),
  m: () => document.querySelector("#move")?.showModal(), R: focusReading,
});
openPanels();
showHeadline();
const openPrior = page.querySelector("[data-open-prior]");
openPrior?.addEventListener("change", () => setPreference("open_prior", openPrior.checked).catch(() => { openPrior.checked = !openPrior.checked; }));
const moving = document.querySelector("#move");
if (moving) watchMove(moving);
if (evidence.dataset.pending === "1") poll(refresh);
if (figures.length) show();
