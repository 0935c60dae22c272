// An image on a canvas: raw 16-bit grey levels through a window, moved and zoomed, with boxes over it.
const ZOOM = [0.05, 20];
const LEVELS = 65536;

export class ImageCanvas {
  #context; #grey; #greyAt; #pixels = null; #due = false; #looks = null;
  ready = false;
  inverted = false;
  view = { scale: 1, x: 0, y: 0 };
  onChange = () => {};
  paintOver = () => {};

  /** `described` is what the page says of the image: rows, columns, window, where its pixels are. */
  constructor(canvas, described) {
    Object.assign(this, { canvas, described });
    this.#context = canvas.getContext("2d", { alpha: false });
    this.window = this.filed;
    new ResizeObserver(() => this.#resize()).observe(canvas.parentElement);
  }

  /** Resolves when the image is on the screen; rejects when it could not be loaded. */
  async open() {
    const { pixels, rows, columns } = this.described;
    const answer = await fetch(pixels);
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    this.#pixels = new Uint16Array(await answer.arrayBuffer());
    if (this.#pixels.length !== rows * columns) throw new Error("the image is incomplete");
    this.#grey = new OffscreenCanvas(columns, rows);
    this.#greyAt = this.#grey.getContext("2d");
    this.ready = true;
    this.#resize();
    this.fit();
  }

  get filed() { return { width: this.described.windowWidth, level: this.described.windowCenter }; }

  setWindow({ width, level }) {
    this.window = { width: Math.max(width, 1), level };
    this.redraw();
  }

  /** Shifts the window by shares of the file's own. */
  shiftWindow(width, level) {
    this.setWindow({ width: this.window.width + width * this.filed.width, level: this.window.level + level * this.filed.width });
  }

  invert() {
    this.inverted = !this.inverted;
    this.redraw();
  }

  reset() {
    this.inverted = false;
    this.window = this.filed;
    this.fit();
  }

  fit() {
    const { rows, columns } = this.described;
    const [wide, high] = this.size;
    const scale = Math.min(wide / columns, high / rows);
    this.#see({ scale, x: (wide - columns * scale) / 2, y: (high - rows * scale) / 2 });
  }

  pan(x, y) {
    this.#see({ ...this.view, x: this.view.x + x, y: this.view.y + y });
  }

  /** Zooms about a point of the canvas, its middle unless told. */
  zoom(factor, [x, y] = this.size.map((side) => side / 2)) {
    const scale = Math.min(Math.max(this.view.scale * factor, ZOOM[0]), ZOOM[1]);
    const grown = scale / this.view.scale;
    this.#see({ scale, x: x - (x - this.view.x) * grown, y: y - (y - this.view.y) * grown });
  }

  get size() { return [this.canvas.clientWidth, this.canvas.clientHeight]; }

  toImage([x, y]) { return [(x - this.view.x) / this.view.scale, (y - this.view.y) / this.view.scale]; }

  toScreen([x, y]) { return [x * this.view.scale + this.view.x, y * this.view.scale + this.view.y]; }

  /** Draws anew with the next frame, once however often it is asked for. */
  redraw() {
    if (this.#due) return;
    this.#due = true;
    requestAnimationFrame(() => { this.#due = false; this.#draw(); });
  }

  #see(view) {
    this.view = view;
    this.redraw();
  }

  #resize() {
    const [wide, high] = this.size;
    this.canvas.width = Math.round(wide * devicePixelRatio);
    this.canvas.height = Math.round(high * devicePixelRatio);
    if (this.ready) this.fit();
  }

  #draw() {
    if (!this.ready) return;
    this.#mindWindow();
    const { scale, x, y } = this.view;
    const context = this.#context;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    context.setTransform(devicePixelRatio * scale, 0, 0, devicePixelRatio * scale, devicePixelRatio * x, devicePixelRatio * y);
    context.imageSmoothingEnabled = scale < 3;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.#grey, 0, 0);
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    this.paintOver(context);
    this.onChange();
  }

  /** Turns grey levels to what is seen, only when the window has changed. */
  #mindWindow() {
    const { width, level } = this.window;
    const looks = `${width} ${level} ${this.inverted}`;
    if (looks === this.#looks) return;
    this.#looks = looks;
    const { rows, columns } = this.described;
    const seen = new Uint8ClampedArray(LEVELS);
    for (let at = 0; at < LEVELS; at += 1) {
      seen[at] = ((at - level) / width + 0.5) * 255;
      if (this.inverted) seen[at] = 255 - seen[at];
    }
    const image = new ImageData(columns, rows);
    const out = new Uint32Array(image.data.buffer);
    for (let at = 0; at < out.length; at += 1) {
      const grey = seen[this.#pixels[at]];
      out[at] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
    }
    this.#greyAt.putImageData(image, 0, 0);
  }
}
