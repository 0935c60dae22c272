// The magnifier: a round pane that follows the pointer while it is pressed.
import { Pane } from "./pane.js";

const FACTOR = 2.5;
const ABOVE_FINGER = 0.75;

export class Magnifier {
  #engine; #source; #element = null; #pane = null; #ready = null;

  constructor(engine, source) {
    this.#engine = engine;
    this.#source = source;
  }

  /** Listens on the figure; `active` returns whether the magnifier is the selected tool. */
  listen(figure, active) {
    let pressed = false;
    figure.addEventListener("pointerdown", (event) => {
      pressed = active() && event.isPrimary && event.button === 0 && !event.shiftKey;
      if (pressed) this.#show(event);
    });
    figure.addEventListener("pointermove", (event) => { if (pressed && event.isPrimary) this.#show(event); });
    for (const end of ["pointerup", "pointercancel", "pointerleave"]) {
      figure.addEventListener(end, () => { pressed = false; this.#element?.classList.remove("visible"); });
    }
  }

  async #show({ clientX, clientY, pointerType }) {
    if (!this.#source.ready) return;
    const box = this.#source.element.getBoundingClientRect();
    const [x, y] = [clientX - box.left, clientY - box.top];
    this.#element ??= this.#make();
    this.#element.classList.add("visible");
    await this.#ready;
    const { clientWidth, clientHeight } = this.#element;
    const lift = pointerType === "touch" ? ABOVE_FINGER * clientHeight : 0; // else the finger covers it
    this.#element.style.transform = `translate(${x - clientWidth / 2}px, ${y - clientHeight / 2 - lift}px)`;
    this.#pane.magnify(this.#source, [x, y], FACTOR);
  }

  #make() {
    const element = document.createElement("div");
    element.className = "magnifier";
    this.#source.element.after(element);
    this.#pane = new Pane(this.#engine, element, this.#source.image, `${this.#source.id}-magnifier`);
    this.#ready = this.#pane.open();
    return element;
  }
}
