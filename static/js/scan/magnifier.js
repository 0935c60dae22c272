// The magnifier: a round pane of its own that follows the pointer while it is pressed.
import { Pane } from "./pane.js";

const FACTOR = 2.5;
const ABOVE_FINGER = 0.75;

export class Lens {
  #engine; #pane; #element = null; #lens = null; #ready = null;

  constructor(engine, pane) {
    this.#engine = engine;
    this.#pane = pane;
  }

  /** Listens on the figure; `wanted` says whether the magnifier is the tool that is chosen. */
  listen(figure, wanted) {
    let held = false;
    figure.addEventListener("pointerdown", (event) => {
      held = wanted() && event.isPrimary && event.button === 0 && !event.shiftKey;
      if (held) this.#show(event);
    });
    figure.addEventListener("pointermove", (event) => { if (held && event.isPrimary) this.#show(event); });
    for (const end of ["pointerup", "pointercancel", "pointerleave"]) {
      figure.addEventListener(end, () => { held = false; this.#element?.classList.remove("seen"); });
    }
  }

  async #show({ clientX, clientY, pointerType }) {
    if (!this.#pane.ready) return;
    const box = this.#pane.element.getBoundingClientRect();
    const [x, y] = [clientX - box.left, clientY - box.top];
    this.#element ??= this.#make();
    this.#element.classList.add("seen");
    await this.#ready;
    const { clientWidth, clientHeight } = this.#element;
    const lift = pointerType === "touch" ? ABOVE_FINGER * clientHeight : 0; // else the finger lies on what it shows
    this.#element.style.transform = `translate(${x - clientWidth / 2}px, ${y - clientHeight / 2 - lift}px)`;
    this.#lens.magnify(this.#pane, [x, y], FACTOR);
  }

  #make() {
    const element = document.createElement("div");
    element.className = "lens";
    this.#pane.element.after(element);
    this.#lens = new Pane(this.#engine, element, this.#pane.image, `${this.#pane.id}-lens`);
    this.#ready = this.#lens.open();
    return element;
  }
}
