// Undo of the last action on the images: window, view and marks.
const PAUSE = 300; // ms without change before a drag or a row of key presses counts as one action
const MOST = 50;

export class Undo {
  #panes; #stack = []; #last; #timer = 0;

  constructor(panes) {
    this.#panes = panes;
    this.#last = this.#now();
  }

  /** Adds an action {undo}. */
  add(action) {
    this.#flush();
    this.#stack = [...this.#stack.slice(1 - MOST), action];
  }

  /** A pane has changed, perhaps not for the last time. */
  changed() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#flush(), PAUSE);
  }

  /** Returns whether there was anything to undo. */
  undo() {
    this.#flush();
    const action = this.#stack.pop();
    action?.undo();
    return Boolean(action);
  }

  #now() { return this.#panes.map((pane) => (pane.ready ? pane.snapshot : null)); }

  #flush() {
    clearTimeout(this.#timer);
    const [before, now] = [this.#last, this.#now()];
    if (rounded(before) === rounded(now)) return;
    this.#last = now;
    this.#stack = [...this.#stack.slice(1 - MOST), { undo: () => this.#restore(before) }];
  }

  #restore(states) {
    this.#panes.forEach((pane, at) => { if (pane.ready && states[at]) pane.snapshot = states[at]; });
    this.#last = this.#now();
  }
}

const rounded = (states) => JSON.stringify(states, (_, value) => (typeof value === "number" ? Number(value.toFixed(4)) : value));
