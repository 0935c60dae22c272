// Boxes on an image, in its own pixels: drawn by a drag, or put up and moved by keys.
const COLOURS = ["#7db7ff", "#e69f00", "#cc79a7", "#f0e442", "#56b4e9", "#d55e00"];
const AT_MOST = 20;
const STEP = 0.01; // of the image's longer side, for one key

export class Boxes {
  list = [];
  chosen = -1;
  drawing = false;
  #start = null; #draft = null;
  onChange = () => {};

  /** `names` are the findings' names by code; with `fixed` nothing can be changed. */
  constructor(image, names, { fixed = false } = {}) {
    Object.assign(this, { image, names, fixed });
    image.paintOver = (context) => this.#paint(context);
  }

  set(list) {
    this.list = list.map((box) => ({ ...box }));
    this.chosen = -1;
    this.#changed();
  }

  /** The next box belongs to `finding`; false where there may be no more. */
  begin(finding) {
    if (this.list.length >= AT_MOST) return false;
    this.drawing = finding;
    this.chosen = -1;
    this.#changed();
    return true;
  }

  stop() {
    this.drawing = false;
    this.#start = this.#draft = null;
    this.#changed();
  }

  /** Puts the box that is being drawn into the middle of what is seen, to be moved by keys. */
  place() {
    const [left, top] = this.image.toImage([0, 0]);
    const [right, bottom] = this.image.toImage(this.image.size);
    const [wide, high] = [(right - left) / 4, (bottom - top) / 4];
    this.#add({ x: (left + right - wide) / 2, y: (top + bottom - high) / 2, width: wide, height: high });
  }

  /** Moves the chosen box by steps, or with `size` its lower right corner. */
  nudge(x, y, { size = false, fine = false } = {}) {
    const box = this.list[this.chosen];
    if (!box) return;
    const { rows, columns } = this.image.described;
    const step = fine ? 1 : Math.max(1, Math.round(STEP * Math.max(rows, columns)));
    if (size) Object.assign(box, { width: Math.max(1, box.width + x * step), height: Math.max(1, box.height + y * step) });
    else Object.assign(box, { x: box.x + x * step, y: box.y + y * step });
    Object.assign(box, this.#inside(box, { keepSize: !size }));
    this.#changed();
  }

  choose(at) {
    this.chosen = at;
    this.#changed();
  }

  /** On to the next box, after the last one to none. */
  next() {
    this.choose(this.chosen + 1 < this.list.length ? this.chosen + 1 : -1);
  }

  remove(at = this.chosen) {
    if (!this.list[at]) return;
    this.list.splice(at, 1);
    this.chosen = -1;
    this.#changed();
  }

  /** Drops the boxes of findings that are neither present nor uncertain any more. */
  keepOnly(findings) {
    const kept = this.list.filter(({ finding }) => findings.has(finding));
    if (kept.length === this.list.length) return;
    this.list = kept;
    this.chosen = -1;
    this.#changed();
  }

  down(point) {
    if (!this.drawing) return false;
    this.#start = this.image.toImage(point);
    return true;
  }

  move(point) {
    if (!this.#start) return;
    this.#draft = between(this.#start, this.image.toImage(point));
    this.image.redraw();
  }

  up() {
    const box = this.#draft && this.#inside(this.#draft);
    this.#start = this.#draft = null;
    if (box && box.width >= 3 && box.height >= 3) this.#add(box);
    else this.image.redraw();
  }

  #add(box) {
    if (!this.drawing) return;
    this.list.push({ finding: this.drawing, ...this.#inside(box) });
    this.drawing = false;
    this.chosen = this.list.length - 1;
    this.#changed();
  }

  #inside({ x, y, width, height }, { keepSize = false } = {}) {
    const { rows, columns } = this.image.described;
    const tenth = (number) => Math.round(number * 10) / 10;
    if (keepSize) {
      return { x: tenth(Math.min(Math.max(x, 0), columns - width)), y: tenth(Math.min(Math.max(y, 0), rows - height)), width, height };
    }
    const [left, top] = [Math.min(Math.max(x, 0), columns), Math.min(Math.max(y, 0), rows)];
    const [right, bottom] = [Math.min(x + width, columns), Math.min(y + height, rows)];
    return { x: tenth(left), y: tenth(top), width: tenth(Math.max(right - left, 0)), height: tenth(Math.max(bottom - top, 0)) };
  }

  #changed() {
    this.image.redraw();
    this.onChange();
  }

  #paint(context) {
    const codes = Object.keys(this.names);
    const all = this.#draft ? [...this.list, { finding: this.drawing, ...this.#draft }] : this.list;
    context.font = "12px system-ui, sans-serif";
    all.forEach((box, at) => {
      const [x, y] = this.image.toScreen([box.x, box.y]);
      const { scale } = this.image.view;
      const colour = COLOURS[codes.indexOf(box.finding) % COLOURS.length] ?? COLOURS[0];
      context.lineWidth = at === this.chosen ? 3 : 1.5;
      context.strokeStyle = colour;
      context.setLineDash(at === this.chosen ? [6, 3] : []);
      context.strokeRect(x, y, box.width * scale, box.height * scale);
      context.setLineDash([]);
      const words = `${box.by ? `${box.by} ` : ""}${this.names[box.finding] ?? box.finding}`;
      const wide = context.measureText(words).width + 8;
      context.fillStyle = "rgb(0 0 0 / 70%)";
      context.fillRect(x, y - 18, wide, 16);
      context.fillStyle = colour;
      context.fillText(words, x + 4, y - 6);
    });
  }
}

function between([x, y], [toX, toY]) {
  return { x: Math.min(x, toX), y: Math.min(y, toY), width: Math.abs(toX - x), height: Math.abs(toY - y) };
}
