// Regions on an image, in image pixels: boxes and polygons, drawn with the pointer or placed with the keyboard.
const COLOURS = ["#7db7ff", "#e69f00", "#cc79a7", "#f0e442", "#56b4e9", "#d55e00"];
const MAX_REGIONS = 20;
const MAX_POINTS = 100;
const STEP = 0.01; // share of the image's longer side per key press
const NEAR = 8; // CSS pixels around the first point of a polygon that close it

export class Regions {
  list = [];
  selected = -1;
  drawing = false;
  kind = "box";
  #start = null; #draft = null; #points = []; #hover = null;
  onChange = () => {};

  /** `names`: the findings' names by code. */
  constructor(image, names) {
    Object.assign(this, { image, names });
    image.paintOver = (context) => this.#paint(context);
  }

  set(list) {
    this.list = structuredClone(list);
    this.selected = -1;
    this.#changed();
  }

  /** Start drawing a box or polygon for `finding`; false if the maximum is reached. */
  begin(finding, kind) {
    if (this.list.length >= MAX_REGIONS) return false;
    this.stop();
    Object.assign(this, { drawing: finding, kind, selected: -1 });
    this.#changed();
    return true;
  }

  stop() {
    this.drawing = false;
    this.#start = this.#draft = this.#hover = null;
    this.#points = [];
    this.#changed();
  }

  /** Adds a ready-made region; false if the maximum is reached. */
  add(region) {
    if (this.list.length >= MAX_REGIONS) return false;
    this.list.push(structuredClone(region));
    this.selected = this.list.length - 1;
    this.#changed();
    return true;
  }

  /** Closes the polygon that is being drawn, or places a region in the centre of the visible part. */
  place() {
    if (this.#points.length) return this.#close();
    const [left, top] = this.image.toImage([0, 0]);
    const [right, bottom] = this.image.toImage(this.image.size);
    const [wide, high] = [(right - left) / 4, (bottom - top) / 4];
    const [x, y] = [(left + right - wide) / 2, (top + bottom - high) / 2];
    if (this.kind === "box") return this.#finish({ x, y, width: wide, height: high });
    const corners = [[0.25, 0], [0.75, 0], [1, 0.5], [0.75, 1], [0.25, 1], [0, 0.5]];
    return this.#finish({ points: corners.map(([across, down]) => [x + across * wide, y + down * high]) });
  }

  /** Moves the selected region by steps; with `resize` its lower right corner. */
  shift(x, y, { resize = false } = {}) {
    const region = this.list[this.selected];
    if (!region) return;
    const { rows, columns } = this.image.metadata;
    const step = Math.max(1, Math.round(STEP * Math.max(rows, columns)));
    const box = bounds(region);
    const size = { width: Math.max(2, box.width + x * step), height: Math.max(2, box.height + y * step) };
    const target = resize ? this.#inside({ ...box, ...size }) : this.#inside({ ...box, x: box.x + x * step, y: box.y + y * step }, { keepSize: true });
    if (region.points) region.points = region.points.map(([px, py]) => [scaled(px, box.x, box.width, target.x, target.width), scaled(py, box.y, box.height, target.y, target.height)]);
    else Object.assign(region, target);
    this.#changed();
  }

  select(at) {
    this.selected = at;
    this.#changed();
  }

  /** Selects the next region; after the last one, none. */
  next() {
    this.select(this.selected + 1 < this.list.length ? this.selected + 1 : -1);
  }

  /** Removes a region; of a polygon that is being drawn, the last point. */
  remove(at = this.selected) {
    if (this.drawing) {
      this.#points.pop();
      this.image.redraw();
      return;
    }
    if (!this.list[at]) return;
    this.list.splice(at, 1);
    this.selected = -1;
    this.#changed();
  }

  /** Removes the regions of findings that are no longer present or uncertain. */
  keepOnly(findings) {
    const kept = this.list.filter(({ finding }) => findings.has(finding));
    if (kept.length === this.list.length) return;
    this.list = kept;
    this.selected = -1;
    this.#changed();
  }

  down(point) {
    if (!this.drawing) return false;
    if (this.kind === "polygon") this.#addPoint(point);
    else this.#start = this.image.toImage(point);
    return true;
  }

  move(point) {
    if (!this.#start) return;
    this.#draft = between(this.#start, this.image.toImage(point));
    this.image.redraw();
  }

  /** The pointer without a button: shows where the next edge of a polygon would go. */
  hover(point) {
    if (!this.#points.length) return;
    this.#hover = this.image.toImage(point);
    this.image.redraw();
  }

  up() {
    if (this.kind === "polygon") return;
    const box = this.#draft && this.#inside(this.#draft);
    this.#start = this.#draft = null;
    if (box && box.width >= 3 && box.height >= 3) this.#finish(box);
    else this.image.redraw();
  }

  #addPoint(point) {
    const first = this.#points[0] && this.image.toScreen(this.#points[0]);
    if (this.#points.length >= 3 && Math.hypot(point[0] - first[0], point[1] - first[1]) <= NEAR) {
      this.#close();
      return;
    }
    if (this.#points.length < MAX_POINTS) this.#points.push(this.#clamped(this.image.toImage(point)));
    this.image.redraw();
  }

  #close() {
    const points = this.#points;
    if (points.length >= 3) this.#finish({ points });
  }

  #finish(shape) {
    if (!this.drawing) return;
    const region = shape.points ? { points: shape.points.map((point) => this.#clamped(point)) } : this.#inside(shape);
    this.list.push({ finding: this.drawing, ...region });
    this.selected = this.list.length - 1;
    this.stop();
  }

  #clamped([x, y]) {
    const { rows, columns } = this.image.metadata;
    return [tenth(Math.min(Math.max(x, 0), columns)), tenth(Math.min(Math.max(y, 0), rows))];
  }

  #inside({ x, y, width, height }, { keepSize = false } = {}) {
    const { rows, columns } = this.image.metadata;
    if (keepSize) {
      return { x: tenth(Math.min(Math.max(x, 0), columns - width)), y: tenth(Math.min(Math.max(y, 0), rows - height)), width, height };
    }
    const [left, top] = this.#clamped([x, y]);
    const [right, bottom] = this.#clamped([x + width, y + height]);
    return { x: left, y: top, width: tenth(right - left), height: tenth(bottom - top) };
  }

  #changed() {
    this.image.redraw();
    this.onChange();
  }

  #paint(context) {
    context.font = "12px system-ui, sans-serif";
    this.list.forEach((region, at) => this.#outline(context, region, at === this.selected));
    if (this.#draft) this.#outline(context, { finding: this.drawing, ...this.#draft });
    if (this.#points.length) {
      const points = this.#hover ? [...this.#points, this.#hover] : this.#points;
      this.#outline(context, { finding: this.drawing, points }, false, { open: true });
    }
  }

  #outline(context, region, selected = false, { open = false } = {}) {
    const codes = Object.keys(this.names);
    const colour = COLOURS[codes.indexOf(region.finding) % COLOURS.length] ?? COLOURS[0];
    const corners = (region.points ?? cornersOf(region)).map((point) => this.image.toScreen(point));
    context.lineWidth = selected ? 3 : 1.5;
    context.strokeStyle = colour;
    context.setLineDash(selected ? [6, 3] : []);
    context.beginPath();
    corners.forEach(([x, y], at) => (at ? context.lineTo(x, y) : context.moveTo(x, y)));
    if (!open) context.closePath();
    context.stroke();
    context.setLineDash([]);
    if (open) context.strokeRect(corners[0][0] - 4, corners[0][1] - 4, 8, 8);
    const [x, y] = [Math.min(...corners.map((point) => point[0])), Math.min(...corners.map((point) => point[1]))];
    const text = `${region.by ? `${region.by} ` : ""}${this.names[region.finding] ?? region.finding}`;
    context.fillStyle = "rgb(0 0 0 / 70%)";
    context.fillRect(x, y - 18, context.measureText(text).width + 8, 16);
    context.fillStyle = colour;
    context.fillText(text, x + 4, y - 6);
  }
}

function between([x, y], [toX, toY]) {
  return { x: Math.min(x, toX), y: Math.min(y, toY), width: Math.abs(toX - x), height: Math.abs(toY - y) };
}

function bounds(region) {
  if (!region.points) return region;
  const [across, down] = [0, 1].map((axis) => region.points.map((point) => point[axis]));
  const [x, y] = [Math.min(...across), Math.min(...down)];
  return { x, y, width: Math.max(...across) - x, height: Math.max(...down) - y };
}

const tenth = (number) => Math.round(number * 10) / 10;
const cornersOf = ({ x, y, width, height }) => [[x, y], [x + width, y], [x + width, y + height], [x, y + height]];
const scaled = (value, from, size, to, wide) => tenth(to + ((value - from) / (size || 1)) * wide);
