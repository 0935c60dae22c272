// An image on a canvas: raw 16-bit grey levels through a window, with pan, zoom and an overlay.
import { greyLevels } from "../http.js";

const ZOOM = [0.05, 20];
const LEVELS = 65536;

export class ImageCanvas {
  #context; #grey; #greyAt; #pixels = null; #scheduled = false; #rendered = null;
  ready = false;
  inverted = false;
  view = { scale: 1, x: 0, y: 0 };
  onChange = () => {};
  paintOver = () => {};

  /** `metadata`: rows, columns, windowWidth, windowCenter, and `pixels`, the URL of the grey levels. */
  constructor(canvas, metadata) {
    Object.assign(this, { canvas, metadata });
    this.#context = canvas.getContext("2d", { alpha: false });
    this.window = this.defaultWindow;
    new ResizeObserver(() => this.#resize()).observe(canvas.parentElement);
  }

  /** Resolves when the image is on the screen; rejects when it could not be loaded. */
  async open() {
    const { rows, columns } = this.metadata;
    this.#pixels = await greyLevels(this.metadata);
    this.#grey = new OffscreenCanvas(columns, rows);
    this.#greyAt = this.#grey.getContext("2d");
    this.ready = true;
    this.#resize();
    this.fit();
  }

  get defaultWindow() { return { width: this.metadata.windowWidth, level: this.metadata.windowCenter }; }

  setWindow({ width, level }) {
    this.window = { width: Math.max(width, 1), level };
    this.redraw();
  }

  /** Shifts the window by shares of the default width. */
  shiftWindow(width, level) {
    this.setWindow({ width: this.window.width + width * this.defaultWindow.width, level: this.window.level + level * this.defaultWindow.width });
  }

  invert() {
    this.inverted = !this.inverted;
    this.redraw();
  }

  reset() {
    this.inverted = false;
    this.window = this.defaultWindow;
    this.fit();
  }

  fit() {
    const { rows, columns } = this.metadata;
    const [wide, high] = this.size;
    const scale = Math.min(wide / columns, high / rows);
    this.#setView({ scale, x: (wide - columns * scale) / 2, y: (high - rows * scale) / 2 });
  }

  pan(x, y) {
    this.#setView({ ...this.view, x: this.view.x + x, y: this.view.y + y });
  }

  /** Zooms about a point of the canvas, by default its centre. */
  zoom(factor, [x, y] = this.size.map((side) => side / 2)) {
    const scale = Math.min(Math.max(this.view.scale * factor, ZOOM[0]), ZOOM[1]);
    const grown = scale / this.view.scale;
    this.#setView({ scale, x: x - (x - this.view.x) * grown, y: y - (y - this.view.y) * grown });
  }

  get size() { return [this.canvas.clientWidth, this.canvas.clientHeight]; }

  toImage([x, y]) { return [(x - this.view.x) / this.view.scale, (y - this.view.y) / this.view.scale]; }

  toScreen([x, y]) { return [x * this.view.scale + this.view.x, y * this.view.scale + this.view.y]; }

  /** Draws with the next animation frame, once for several calls. */
  redraw() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => { this.#scheduled = false; this.#draw(); });
  }

  #setView(view) {
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
    this.#applyWindow();
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

  /** Maps grey levels to display levels, if the window has changed. */
  #applyWindow() {
    const { width, level } = this.window;
    const key = `${width} ${level} ${this.inverted}`;
    if (key === this.#rendered) return;
    this.#rendered = key;
    const { rows, columns } = this.metadata;
    const lookup = new Uint8ClampedArray(LEVELS);
    for (let at = 0; at < LEVELS; at += 1) {
      lookup[at] = ((at - level) / width + 0.5) * 255;
      if (this.inverted) lookup[at] = 255 - lookup[at];
    }
    const image = new ImageData(columns, rows);
    const out = new Uint32Array(image.data.buffer);
    for (let at = 0; at < out.length; at += 1) {
      const grey = lookup[this.#pixels[at]];
      out[at] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
    }
    this.#greyAt.putImageData(image, 0, 0);
  }
}
