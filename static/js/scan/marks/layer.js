// The marks of one pane: drawn over the image, set by pointer or keyboard. Points are in image pixels, as the server keeps them.
import { KINDS, lines, measured } from "./kinds.js";

const SVG = "http://www.w3.org/2000/svg";
const NEAR = 9; // CSS pixels around a point or line that a pointer hits
const CLICK = 4; // less movement than this sets a point by a click instead of a drag
const ARC = 64;

function element(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** What a change that is given up restores. */
const copyOf = ({ points, values }) => ({ before: points.map((point) => [...point]), values });
const line = (points) => `M${points.map((point) => point.map((at) => at.toFixed(1)).join(" ")).join("L")}`;
const distance = ([x, y], [other, below]) => Math.hypot(x - other, y - below);

function fromSegment([x, y], [[x0, y0], [x1, y1]]) {
  const length = (x1 - x0) ** 2 + (y1 - y0) ** 2;
  const share = length ? Math.min(Math.max(((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length, 0), 1) : 0;
  return Math.hypot(x - x0 - share * (x1 - x0), y - y0 - share * (y1 - y0));
}

export class MarkLayer {
  #svg; #draft = null; #grab = null; #pressed = null;
  marks = [];
  kind = null; // of the chosen tool; null: marks are only shown
  selected = null;
  shown = true;

  /** `on`: {finished(mark), changed(mark, before), selected(mark), guided(kind, count)}. */
  constructor(pane, figure, on) {
    Object.assign(this, { pane, figure, on });
    this.#svg = element("svg", { class: "marks", "aria-hidden": "true" });
    figure.append(this.#svg);
    pane.onDraw = () => this.draw();
    figure.addEventListener("pointerdown", (event) => this.#down(event));
    figure.addEventListener("pointermove", (event) => this.#move(event));
    figure.addEventListener("pointerup", (event) => this.#up(event));
    figure.addEventListener("pointercancel", () => this.cancel());
  }

  get drafting() { return Boolean(this.#draft); }

  get placing() { return this.#draft?.handle !== undefined; }

  values(mark) { return measured(mark.kind, mark.points, this.pane.image, this.#levels()); }

  /** Drops the mark that is being drawn, or the move that is under way. */
  cancel() {
    for (const held of [this.#grab, this.#draft]) if (held?.before) Object.assign(held.mark, { points: held.before, values: held.values });
    [this.#draft, this.#grab, this.#pressed] = [null, null, null];
    this.draw();
  }

  // --- Keyboard: all points are set at once, arrow keys move them in turn ------------------------------

  place(existing = null) {
    const { clientWidth: width, clientHeight: height } = this.pane.element;
    const points = () => KINDS[this.kind].places.map(([x, y]) => this.#inside(this.pane.toImage([x * width, y * height])));
    const mark = existing ?? { kind: this.kind, points: points(), text: "" };
    this.#draft = { mark, set: mark.points.length, handle: 0, ...(existing && copyOf(existing)) };
    this.draw();
  }

  moveHandle(x, y) {
    const { mark, handle } = this.#draft;
    const [left, top] = this.pane.toScreen(mark.points[handle]);
    mark.points[handle] = this.#inside(this.pane.toImage([left + x, top + y]));
    mark.values = null;
    this.draw();
  }

  /** Goes to the next point; after the last one the mark is finished. */
  nextHandle() {
    if (this.#draft.handle + 1 < this.#draft.mark.points.length) {
      this.#draft.handle += 1;
      this.draw();
    } else this.#finish();
  }

  // --- Pointer -----------------------------------------------------------------------------------------

  #down(event) {
    if (!event.isPrimary) this.cancel(); // two fingers zoom
    if (!this.kind || !this.pane.ready || !event.isPrimary || event.button || event.shiftKey || this.placing) return;
    const [at, point] = this.#point(event);
    this.#pressed = at;
    if (this.#draft) {
      this.#press(point);
      return;
    }
    const hit = this.#hit(at);
    if (hit) {
      this.#grab = { ...hit, from: point, ...copyOf(hit.mark) };
      this.select(hit.mark);
    } else this.#begin(point);
  }

  #begin(point) {
    this.#draft = { mark: { kind: this.kind, points: [point], text: "" }, set: 1 };
    if (KINDS[this.kind].points === 1) this.#finish();
    else this.#follow(point);
  }

  #press(point) {
    const { mark, set } = this.#draft;
    if (mark.points.length > set) {
      mark.points[set] = point;
      this.#set();
    } else {
      mark.points.push(point);
      this.#draft.set += 1;
      this.#follow(point);
    }
  }

  /** The next point follows the pointer, where it is joined to the last one. */
  #follow(point) {
    const { mark, set } = this.#draft;
    if (KINDS[mark.kind].joined(set)) mark.points.push([...point]);
    this.on.guided(mark.kind, set);
    this.draw();
  }

  #set() {
    const { mark } = this.#draft;
    this.#draft.set += 1;
    if (this.#draft.set === KINDS[mark.kind].points) this.#finish();
    else this.#follow(mark.points.at(-1));
  }

  #move(event) {
    if (!event.isPrimary) return;
    const [at, point] = this.pane.ready && (this.#draft || this.#grab) ? this.#point(event) : [];
    if (!at) return;
    if (this.#grab) this.#drag(point);
    else if (!this.placing && this.#draft.mark.points.length > this.#draft.set) this.#draft.mark.points[this.#draft.set] = point;
    this.draw();
  }

  #drag([x, y]) {
    const { mark, handle, from, before } = this.#grab;
    mark.values = null; // the server's are of the former points
    if (handle !== undefined) mark.points[handle] = [x, y];
    else {
      const moved = before.map(([column, row]) => [column + x - from[0], row + y - from[1]]);
      if (moved.every((point) => distance(point, this.#inside(point)) < 1e-6)) mark.points = moved;
    }
    this.#grab.moved = true;
  }

  #up(event) {
    if (!event.isPrimary || !this.#pressed) return;
    const [at, point] = this.#point(event);
    const far = distance(at, this.#pressed) >= CLICK;
    this.#pressed = null;
    if (this.#grab) {
      const { mark, before, moved } = this.#grab;
      if (!moved || !far) {
        this.cancel();
        return;
      }
      this.#grab = null;
      this.on.changed(mark, { points: before, text: mark.text });
    } else if (this.#draft && far && this.#draft.mark.points.length > this.#draft.set) {
      this.#draft.mark.points[this.#draft.set] = point;
      this.#set();
    }
    this.draw();
  }

  #finish() {
    const { mark, before } = this.#draft;
    this.#draft = null;
    if (before) this.on.changed(mark, { points: before, text: mark.text });
    else this.on.finished(mark);
    this.draw();
  }

  #point(event) {
    const box = this.pane.element.getBoundingClientRect();
    const at = [event.clientX - box.left, event.clientY - box.top];
    return [at, this.#inside(this.pane.toImage(at))];
  }

  #inside([column, row]) {
    const { columns, rows } = this.pane.image;
    return [Math.min(Math.max(column, 0), columns), Math.min(Math.max(row, 0), rows)];
  }

  #hit(at) {
    for (const mark of [...this.#visible].reverse()) {
      const points = mark.points.map((point) => this.pane.toScreen(point));
      const handle = points.findIndex((point) => distance(point, at) <= NEAR);
      if (handle >= 0) return { mark, handle };
      if (this.#strokes(mark).some((stroke) => stroke.some((end, n) => n && fromSegment(at, [stroke[n - 1], end]) <= NEAR / 1.5))) return { mark };
    }
    return null;
  }

  select(mark) {
    this.selected = mark;
    this.on.selected(mark);
    this.draw();
  }

  // --- Drawing -----------------------------------------------------------------------------------------

  get #visible() { return this.shown ? this.marks : []; }

  #levels() { return this.pane.viewport.getCornerstoneImage().getPixelData(); }

  /** The lines of a mark in CSS pixels of the pane: through corners and arcs too, so that a turned view shows them right. */
  #strokes({ kind, points }) {
    const screen = (list) => list.map((point) => this.pane.toScreen(point));
    const [a, b] = points;
    if (kind === "probe") {
      const [x, y] = this.pane.toScreen(a);
      return [[[x - 7, y], [x + 7, y]], [[x, y - 7], [x, y + 7]]];
    }
    if (!b) return [];
    if (kind === "rectangle") return [screen([a, [b[0], a[1]], b, [a[0], b[1]], a])];
    if (kind === "ellipse") {
      const [x, y, wide, high] = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2, (b[0] - a[0]) / 2, (b[1] - a[1]) / 2];
      const turn = Array.from({ length: ARC + 1 }, (_, n) => (2 * Math.PI * n) / ARC);
      return [screen(turn.map((angle) => [x + wide * Math.cos(angle), y + high * Math.sin(angle)]))];
    }
    if (kind === "cardiothoracic") return [screen(points.slice(0, 2)), screen(points.slice(2, 4))].filter((stroke) => stroke.length === 2);
    if (kind === "arrow") return [screen(points), ...this.#head(...screen(points))];
    return [screen(points)];
  }

  #head([x, y], [tailX, tailY]) {
    const angle = Math.atan2(tailY - y, tailX - x);
    return [-0.45, 0.45].map((turn) => [[x, y], [x + 13 * Math.cos(angle + turn), y + 13 * Math.sin(angle + turn)]]);
  }

  draw() {
    if (!this.pane.ready) return;
    const drawn = [...this.#visible, ...(this.#draft && !this.#draft.before ? [this.#draft.mark] : [])];
    this.#svg.replaceChildren(...drawn.map((mark) => this.#drawn(mark)));
  }

  #drawn(mark) {
    const [draft, handle] = [this.#draft?.mark === mark, this.#draft?.mark === mark ? this.#draft.handle : undefined];
    const group = element("g", { class: "mark" });
    group.classList.toggle("unsaved", Boolean(mark.problem));
    group.classList.toggle("selected", mark === this.selected);
    group.append(element("path", { d: this.#strokes(mark).map(line).join("") }));
    if (this.kind || draft || mark === this.selected) {
      mark.points.forEach((point, n) => {
        const [cx, cy] = this.pane.toScreen(point);
        group.append(element("circle", { cx, cy, r: n === handle ? 7 : 4, ...(n === handle && { class: "active" }) }));
      });
    }
    if (mark.points.length === KINDS[mark.kind].points && this.#inView(mark)) group.append(this.#label(mark));
    return group;
  }

  #inView({ points }) {
    const { clientWidth, clientHeight } = this.pane.element;
    return points.some((point) => this.pane.toScreen(point).every((at, axis) => at >= 0 && at <= [clientWidth, clientHeight][axis]));
  }

  #label(mark) {
    const content = [mark.text, ...lines(mark.values ?? this.values(mark)), mark.by && `– ${mark.by}`].filter(Boolean);
    const places = mark.points.map((point) => this.pane.toScreen(point));
    const [x, y] = places.reduce((best, place) => (place[0] > best[0] ? place : best)); // at the right of the mark
    const { clientWidth: width, clientHeight: height } = this.pane.element;
    const left = x > width - 190;
    const top = Math.min(Math.max(left ? y + 20 : y - 8, 16), height - 16 * content.length - 8);
    const text = element("text", { x: left ? Math.min(x, width) - 10 : x + 10, y: top, "text-anchor": left ? "end" : "start" });
    content.forEach((words, n) => {
      const part = element("tspan", { x: text.getAttribute("x"), dy: n ? 16 : 0, ...(words.startsWith("– ") && { class: "by" }) });
      part.textContent = words;
      text.append(part);
    });
    return text;
  }
}
