// The server is full or asks for fewer requests: uploads wait as long as it states, then continue.
import { gettext, interpolate } from "../gettext.js";

export class Pause {
  #until = 0;
  #timer = 0;

  /** `node` shows the reason; `onEnd` is called when the wait is over. */
  constructor(node, onEnd) { Object.assign(this, { node, onEnd }); }

  get active() { return Date.now() < this.#until; }

  /** Waits `seconds` from now; a longer wait that was stated before stays. */
  begin(seconds, reason) {
    this.#until = Math.max(this.#until, Date.now() + 1000 * seconds);
    const time = new Date(this.#until).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
    this.node.textContent = interpolate(gettext("%(reason)s Uploads continue automatically at %(time)s."), { reason, time });
    this.node.hidden = false;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#end(), this.#until - Date.now());
  }

  #end() {
    this.#until = 0;
    this.node.hidden = true;
    this.onEnd();
  }
}
