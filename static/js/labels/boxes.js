// Boxes on an image, in image pixels: drawn by dragging, or placed and moved with the keyboard.
const COLOURS = ["#7db7ff", "#e69f00", "#cc79a7", "#f0e442", "#56b4e9", "#d55e00"];
const MAX_BOXES = 20;
const STEP = 0.01; // share of the image's longer side per key press

export class Boxes {
  list = [];
  selected = -1;
  drawing = false;
  #start = null; #draft = null;
  onChange = () => {};

  /** `names`: the findings' names by code. */
  constructor(image, names) {
    Object.assign(this, { image, names });
    image.paintOver = (context) => this.#paint(context);
  }

  set(list) {
    this.list = list.map((box) => ({ ...box }));
    this.selected = -1;
    this.#changed();
  }

  /** Start drawing a box for `finding`; false if the maximum is reached. */
  begin(finding) {
    if (this.list.length >= MAX_BOXES) return false;
    this.drawing = finding;
    this.selected = -1;
    this.#changed();
    return true;
  }

  stop() {
    this.drawing = false;
    this.#start = this.#draft = null;
    this.#changed();
  }

  /** Places a new box in the centre of the visible part, to be moved with the keyboard. */
  place() {
    const [left, top] = this.image.toImage([0, 0]);
    const [right, bottom] = this.image.toImage(this.image.size);
    const [wide, high] = [(right - left) / 4, (bottom - top) / 4];
    this.#add({ x: (left + right - wide) / 2, y: (top + bottom - high) / 2, width: wide, height: high });
  }

  /** Moves the selected box by steps, or with `resize` its lower right corner. */
  shift(x, y, { resize = false } = {}) {
    const box = this.list[this.selected];
    if (!box) return;
    const { rows, columns } = this.image.metadata;
    const step = Math.max(1, Math.round(STEP * Math.max(rows, columns)));
    if (resize) Object.assign(box, { width: Math.max(1, box.width + x * step), height: Math.max(1, box.height + y * step) });
    else Object.assign(box, { x: box.x + x * step, y: box.y + y * step });
    Object.assign(box, this.#inside(box, { keepSize: !resize }));
    this.#changed();
  }

  select(at) {
    this.selected = at;
    this.#changed();
  }

  /** Selects the next box; after the last one, none. */
  next() {
    this.select(this.selected + 1 < this.list.length ? this.selected + 1 : -1);
  }

  remove(at = this.selected) {
    if (!this.list[at]) return;
    this.list.splice(at, 1);
    this.selected = -1;
    this.#changed();
  }

  /** Removes the boxes of findings that are no longer present or uncertain. */
  keepOnly(findings) {
    const kept = this.list.filter(({ finding }) => findings.has(finding));
    if (kept.length === this.list.length) return;
    this.list = kept;
    this.selected = -1;
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
    this.selected = this.list.length - 1;
    this.#changed();
  }

  #inside({ x, y, width, height }, { keepSize = false } = {}) {
    const { rows, columns } = this.image.metadata;
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
      context.lineWidth = at === this.selected ? 3 : 1.5;
      context.strokeStyle = colour;
      context.setLineDash(at === this.selected ? [6, 3] : []);
      context.strokeRect(x, y, box.width * scale, box.height * scale);
      context.setLineDash([]);
      const text = `${box.by ? `${box.by} ` : ""}${this.names[box.finding] ?? box.finding}`;
      const wide = context.measureText(text).width + 8;
      context.fillStyle = "rgb(0 0 0 / 70%)";
      context.fillRect(x, y - 18, wide, 16);
      context.fillStyle = colour;
      context.fillText(text, x + 4, y - 6);
    });
  }
}

function between([x, y], [toX, toY]) {
  return { x: Math.min(x, toX), y: Math.min(y, toY), width: Math.abs(toX - x), height: Math.abs(toY - y) };
}
