// The heatmap's controls in the evidence panel: what is chosen there is remembered while the browser is open.
import { COLOURS } from "./colours.js";
import { Heat } from "./heat.js";
import { paintLegend, strongest } from "./overlay.js";

const STORE = "heatmap";
const START = { opacity: 0.6, threshold: 0, colours: COLOURS[0], outlines: false };

function remembered() {
  try {
    return { ...START, ...JSON.parse(sessionStorage.getItem(STORE)) };
  } catch {
    return START;
  }
}

export class Panel {
  #choices = { ...remembered(), finding: null, shown: true };
  #controls = null;
  #cam = null;
  onChange = () => {};

  /** Takes over the controls below `root`, which may be new ones; `others` are maps of the panes beside the first. */
  attach(root, panes) {
    this.#controls = root.querySelector("[data-heatmap]");
    const cams = ["#cam", "#cam-other"].map((id) => root.querySelector(id)).map((data) => data && JSON.parse(data.textContent));
    [this.#cam] = cams;
    panes.forEach((pane, at) => { pane.heat = cams[at] ? new Heat(cams[at], pane.picture) : null; });
    if (!this.#controls || !this.#cam) return this.onChange({ ...this.#choices, opacity: 0 });
    const finding = this.#part("finding");
    if (this.#choices.finding in this.#cam.grids) finding.value = this.#choices.finding;
    for (const name of ["opacity", "threshold", "colours"]) this.#part(name).value = this.#choices[name];
    this.#part("outlines").checked = this.#choices.outlines;
    this.#controls.addEventListener("input", () => this.#read({ shown: true }));
    return this.#read({});
  }

  turn() { this.#read({ shown: !this.#choices.shown }); }

  step(name, by) { this.#set(name, Math.round((Number(this.#part(name)?.value) + by) * 100) / 100); }

  next(name) {
    const choice = this.#part(name);
    if (choice) this.#set(name, choice.options[(choice.selectedIndex + 1) % choice.options.length].value);
  }

  outline() {
    const box = this.#part("outlines");
    if (!box) return;
    box.checked = !box.checked;
    this.#read({ shown: true });
  }

  #part(name) { return this.#controls?.querySelector(`[data-${name}]`); }

  #set(name, value) {
    const part = this.#part(name);
    if (!part) return;
    part.value = value;
    this.#read({ shown: true });
  }

  #read(changes) {
    if (!this.#controls || !this.#cam) return;
    const [opacity, threshold] = ["opacity", "threshold"].map((name) => Number(this.#part(name).value));
    const [finding, colours] = ["finding", "colours"].map((name) => this.#part(name).value);
    const kept = { opacity, threshold, colours, outlines: this.#part("outlines").checked };
    sessionStorage.setItem(STORE, JSON.stringify(kept));
    this.#choices = { ...this.#choices, ...kept, finding, ...changes };
    this.#tell();
    this.onChange({ ...this.#choices, opacity: this.#choices.shown ? opacity : 0 });
  }

  #tell() {
    const { finding, opacity, threshold, colours } = this.#choices;
    paintLegend(this.#part("legend"), { colours, threshold });
    this.#part("strongest").textContent = strongest(this.#cam, finding).toFixed(2);
    const inside = this.#part("inside"); // known for one finding's map only
    if (inside) inside.hidden = inside.dataset.inside !== finding;
    this.#part("opacity-now").textContent = `${Math.round(opacity * 100)} %`;
    this.#part("threshold-now").textContent = (threshold * this.#cam.scale).toFixed(2);
  }
}
