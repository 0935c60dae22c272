// The panes of the page: rendering, tools, and linked view and window of two images.
import { RenderingEngine, setUseCPURendering } from "@cornerstonejs/core";
import { Magnifier } from "./magnifier.js";
import { Pane } from "./pane.js";
import { serve } from "./images.js";

const ENGINE = "hilum";
const PAN_STEP = 40;

export class Viewer {
  #active; #following = false;
  linked = true;
  tools = null; // until `loadTools`
  undo = null;
  onChange = () => {};

  /** `figures` are the elements that hold [data-viewport]; `images` describe what each shows, in order. */
  constructor(figures, images) {
    this.figures = figures;
    // CPU rendering: the same image on every machine, and shown sooner than with WebGL.
    setUseCPURendering(true, false);
    serve();
    const engine = new RenderingEngine(ENGINE);
    this.panes = figures.map((figure, at) => new Pane(engine, figure.querySelector("[data-viewport]"), images[at]));
    this.#active = this.panes[0];
    figures.forEach((figure, at) => {
      this.#listen(figure, this.panes[at]);
      new Magnifier(engine, this.panes[at]).listen(figure, () => this.tools?.now === "magnifier");
    });
  }

  /** Opens every pane. If one fails, the others stay usable, and its error is thrown at the end. */
  async open() {
    const opened = await Promise.allSettled(this.panes.map(async (pane) => {
      await pane.open();
      pane.onView = (changed) => this.#follow(changed);
      pane.onChange = (changed) => this.onChange(changed);
      this.onChange(pane);
    }));
    const failed = opened.find(({ status }) => status === "rejected");
    if (failed) throw failed.reason;
    this.fit();
  }

  /** Loads the tools after the images, and adds them to the open panes. */
  async loadTools(sources, panel, root) {
    const { Tools } = await import("./tools.js");
    this.tools = new Tools(this.panes, this.figures, sources, panel, root);
    this.panes.filter((pane) => pane.ready).forEach((pane) => this.tools.addPane(pane));
  }

  get active() { return this.#active; }

  get activeAt() { return this.panes.indexOf(this.#active); }

  set heatChoices(choices) {
    for (const pane of this.panes) {
      pane.choices = choices;
      if (!pane.ready) continue;
      pane.redraw();
      this.onChange(pane);
    }
  }

  link(linked) {
    this.linked = linked;
    if (linked) this.fit();
    if (linked) this.#follow(this.#active);
  }

  /** Whether linked images are shown at one scale in millimetres: where every spacing is known, of the same kind. */
  get byMillimetres() {
    const { measure } = this.panes[0];
    return this.linked && this.panes.length > 1 && Boolean(measure) && this.panes.every((pane) => pane.ready && pane.measure === measure);
  }

  /** The whole image; of linked images all, at the scale of the largest. */
  fit() {
    if (!this.byMillimetres) return this.#active.fit();
    const scale = Math.max(...this.panes.map((pane) => pane.fittedScale));
    const { rotation, flips } = this.#active.placement;
    this.#active.placement = { scale, shift: [0, 0, 0], rotation, flips };
    return undefined;
  }

  reset() {
    this.#active.reset();
    this.fit();
  }

  arrow(x, y, { fine = false } = {}) {
    if (this.tools.placing) this.tools.placing.moveHandle(x * (fine ? 1 : 8), y * (fine ? 1 : 8));
    else this.#active.pan(-x * PAN_STEP, -y * PAN_STEP);
  }

  shiftWindow(width, level) {
    const { window, defaultWindow } = this.#active;
    this.#active.window = { width: window.width + width * defaultWindow.width, level: window.level + level * defaultWindow.width };
  }

  #follow(changed) {
    if (!this.linked || this.#following) return;
    this.#following = true;
    const others = this.panes.filter((pane) => pane !== changed && pane.ready);
    for (const pane of others) {
      if (this.byMillimetres) pane.placement = changed.placement;
      else pane.view = changed.view;
      pane.relativeWindow = changed.relativeWindow;
    }
    this.#following = false;
  }

  #listen(figure, pane) {
    const activate = () => { this.#active = pane; };
    for (const event of ["pointerdown", "focusin", "wheel"]) figure.addEventListener(event, activate, { passive: true, capture: true });
    figure.addEventListener("contextmenu", (event) => event.preventDefault());
    figure.addEventListener("wheel", (event) => {
      event.preventDefault();
      const box = pane.element.getBoundingClientRect();
      if (pane.ready) pane.zoom(Math.exp(-event.deltaY / 400), [event.clientX - box.left, event.clientY - box.top]);
    }, { passive: false });
    figure.addEventListener("dblclick", () => { if (pane.ready && !this.tools?.measures) this.fit(); });
  }
}
