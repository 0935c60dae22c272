// The heatmap controls of the evidence panel; choices are kept for the browser session.
import { COLOURS } from "./colours.js";
import { Explainers, OWN } from "./explainers.js";
import { Heatmap } from "./heatmap.js";
import { paintLegend, strongest } from "./overlay.js";
import { gettext, interpolate } from "../gettext.js";
import { preference, setPreference } from "../preferences.js";

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
  #choices = { ...remembered(), finding: null, shown: preference("heatmap") ?? true, method: OWN };
  #controls = null;
  #panes = [];
  #own = []; // the model's own map of each pane
  #cam = null; // the drawn map of the first pane; null while it is computed
  #explained = "";
  #explainers = new Explainers((results) => this.#show(results.map((result) => result?.cam)));
  onChange = () => {};

  /** Connects to the controls in `root`, which may have been replaced. */
  attach(root, panes) {
    this.#controls = root.querySelector("[data-heatmap]");
    this.#panes = panes;
    this.#own = ["#cam", "#cam-other"].map((id) => root.querySelector(id)).map((data) => data && JSON.parse(data.textContent));
    if (!this.#controls || !this.#own[0]) {
      this.#choices.method = OWN;
      return this.#show(this.#own);
    }
    const finding = this.#part("finding");
    if (this.#choices.finding in this.#own[0].grids) finding.value = this.#choices.finding;
    for (const name of ["opacity", "threshold", "colours"]) this.#part(name).value = this.#choices[name];
    this.#part("outlines").checked = this.#choices.outlines;
    if (this.#explained !== this.#controls.dataset.explain) this.#choices.method = OWN; // another analysis is shown now
    this.#explained = this.#controls.dataset.explain;
    this.#part("method").value = this.#choices.method;
    this.#controls.addEventListener("input", ({ target }) => (target === this.#part("method") ? this.#explain(target.value) : this.#read({ shown: true })));
    this.#explainers.attach(this.#part("explanation"));
    return this.#explain(this.#choices.method);
  }

  focusMethod() { this.#part("method")?.focus(); }

  /** Off stays off for the person on every scan; a slider shows the map on this one. */
  toggle() {
    this.#read({ shown: !this.#choices.shown });
    setPreference("heatmap", this.#choices.shown).catch(() => {}); // it holds on this page all the same
  }

  /** The settings of the heatmap as drawn; `finding` is null where there is none. */
  get settings() {
    const { finding, opacity, threshold, colours, outlines, shown } = this.#choices;
    const drawn = Boolean(this.#controls && this.#own[0]);
    return { finding: drawn ? finding : null, opacity: drawn && shown ? opacity : 0, threshold, colours, outlines };
  }

  apply({ finding, opacity, threshold, colours, outlines }) {
    if (!this.#controls || !this.#own[0]) return;
    if (finding in this.#own[0].grids) this.#part("finding").value = finding;
    for (const [name, value] of Object.entries({ threshold, colours, ...(opacity && { opacity }) })) this.#part(name).value = value;
    this.#part("outlines").checked = outlines;
    this.#read({ shown: opacity > 0 });
  }

  step(name, by) { this.#set(name, Math.round((Number(this.#part(name)?.value) + by) * 100) / 100); }

  next(name) {
    const choice = this.#part(name);
    if (choice) this.#set(name, choice.options[(choice.selectedIndex + 1) % choice.options.length].value);
  }

  toggleOutlines() {
    const box = this.#part("outlines");
    if (!box) return;
    box.checked = !box.checked;
    this.#read({ shown: true });
  }

  #part(name) { return this.#controls?.querySelector(`[data-${name}]`); }

  /** Draws the maps of a method; none until they are computed, to avoid confusion with another method's. */
  #explain(method) {
    this.#choices.method = method;
    this.#show(method === OWN ? this.#own : []);
    const { explain, explainOther } = this.#controls.dataset;
    this.#explainers.choose(method, this.#panes.map((_, at) => [explain, explainOther][at]));
  }

  #show(cams) {
    [this.#cam = null] = cams;
    const { method } = this.#choices;
    const label = method === OWN ? "" : interpolate(gettext("%(method)s, relative"), { method: this.#part("method").selectedOptions[0].text });
    this.#panes.forEach((pane, at) => { pane.heat = cams[at] ? new Heatmap(cams[at], pane.image, label) : null; });
    if (this.#controls) this.#read({});
    else this.onChange({ ...this.#choices, opacity: 0 });
  }

  #set(name, value) {
    const part = this.#part(name);
    if (!part) return;
    part.value = value;
    this.#read({ shown: true });
  }

  #read(changes) {
    if (!this.#controls || !this.#own[0]) return;
    const [opacity, threshold] = ["opacity", "threshold"].map((name) => Number(this.#part(name).value));
    const [finding, colours] = ["finding", "colours"].map((name) => this.#part(name).value);
    const kept = { opacity, threshold, colours, outlines: this.#part("outlines").checked };
    sessionStorage.setItem(STORE, JSON.stringify(kept));
    this.#choices = { ...this.#choices, ...kept, finding, ...changes };
    this.#describe();
    this.onChange({ ...this.#choices, opacity: this.#choices.shown && this.#cam ? opacity : 0 });
  }

  #describe() {
    const { finding, opacity, threshold, colours } = this.#choices;
    const relative = this.#choices.method !== OWN;
    for (const part of this.#controls.querySelectorAll("[data-relative]")) part.hidden = !relative;
    for (const part of this.#controls.querySelectorAll("[data-absolute]")) part.hidden = relative;
    paintLegend(this.#part("legend"), { colours, threshold });
    const scale = relative ? 1 : this.#own[0].scale;
    this.#part("half").textContent = (scale / 2).toFixed(2);
    this.#part("saturated").hidden = !this.#cam || strongest(this.#cam, finding) <= this.#cam.scale;
    this.#part("strongest").textContent = this.#cam ? strongest(this.#cam, finding).toFixed(2) : "";
    const [inside, share] = [this.#part("inside"), this.#cam?.inside_lungs ?? null]; // measured for one finding only
    if (inside) {
      inside.hidden = inside.dataset.inside !== finding || share === null;
      this.#part("inside-share").textContent = Math.round(100 * share);
    }
    this.#part("framed").hidden = !this.#panes[0].heat?.frame;
    this.#part("opacity-value").textContent = `${Math.round(opacity * 100)} %`;
    this.#part("threshold-value").textContent = (threshold * scale).toFixed(2);
  }
}
