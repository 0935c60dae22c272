// The panes of the page together: rendering, tools, and what two images share when they stand side by side.
import { RenderingEngine, setUseCPURendering } from "@cornerstonejs/core";
import { Lens } from "./magnifier.js";
import { Pane } from "./pane.js";
import { serve } from "./images.js";

const ENGINE = "hilum";
const KEYS_PAN = 40;

export class Viewer {
  #active; #echo = false;
  linked = true;
  tools = null; // until `equip` has brought them
  onChange = () => {};

  /** `figures` are the elements that hold [data-viewport]; `images` describe what each shows, in order. */
  constructor(figures, images) {
    // Grey levels are looked up by the processor: the same image on every machine, and seen sooner than with WebGL.
    setUseCPURendering(true, false);
    serve();
    const engine = new RenderingEngine(ENGINE);
    this.panes = figures.map((figure, at) => new Pane(engine, figure.querySelector("[data-viewport]"), images[at]));
    this.#active = this.panes[0];
    figures.forEach((figure, at) => {
      this.#listen(figure, this.panes[at]);
      new Lens(engine, this.panes[at]).listen(figure, () => this.tools?.now === "magnifier");
    });
  }

  /** Opens every pane; when one could not be, the others stay usable, and the first reason is thrown at the end. */
  async open() {
    const opened = await Promise.allSettled(this.panes.map(async (pane) => {
      await pane.open();
      pane.onView = (changed) => this.#follow(changed);
      pane.onChange = (changed) => this.onChange(changed);
      this.onChange(pane);
    }));
    const failed = opened.find(({ status }) => status === "rejected");
    if (failed) throw failed.reason;
  }

  /** Brings the tools, which no image has to wait for, to the panes that are open. */
  async equip() {
    const { Tools } = await import("./tools.js");
    this.tools = new Tools(this.panes);
    this.panes.filter((pane) => pane.ready).forEach((pane) => this.tools.take(pane));
  }

  get active() { return this.#active; }

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
    if (linked) this.#follow(this.#active);
  }

  reset() {
    this.#active.reset();
    this.tools.clear();
  }

  arrow(x, y, { fine = false } = {}) {
    if (this.tools.placing) this.tools.moveHandle(x * (fine ? 1 : 8), y * (fine ? 1 : 8));
    else this.#active.pan(-x * KEYS_PAN, -y * KEYS_PAN);
  }

  shiftWindow(width, level) {
    const { window, filed } = this.#active;
    this.#active.window = { width: window.width + width * filed.width, level: window.level + level * filed.width };
  }

  #follow(changed) {
    if (!this.linked || this.#echo) return;
    this.#echo = true;
    const others = this.panes.filter((pane) => pane !== changed && pane.ready);
    for (const pane of others) {
      pane.view = changed.view;
      pane.tone = changed.tone;
    }
    this.#echo = false;
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
    figure.addEventListener("dblclick", () => { if (pane.ready && !this.tools?.measures) pane.fit(); });
  }
}
