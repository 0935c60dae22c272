// A small grey-image viewer on one canvas: window and level, zoom, pan, invert, fit, one overlay.
// It knows nothing of the page, so another viewer can take its place.
const ZOOM_LIMITS = [0.2, 20];

export class Viewer {
  #canvas; #context; #picture; #grey; #overlay = null; #opacity = 0.6; #queued = false;
  #view = { zoom: 1, x: 0, y: 0 };
  #window = { width: 255, level: 127.5 };
  #inverted = false;
  onChange = () => {};

  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    new ResizeObserver(() => this.#resize()).observe(canvas);
    this.#listen();
  }

  /** Loads an 8-bit grey picture; resolves when it is on the screen. */
  async load(url) {
    const image = new Image();
    image.src = url;
    await image.decode();
    this.#picture = document.createElement("canvas");
    this.#picture.width = image.naturalWidth;
    this.#picture.height = image.naturalHeight;
    const context = this.#picture.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    const pixels = context.getImageData(0, 0, image.naturalWidth, image.naturalHeight).data;
    this.#grey = new Uint8ClampedArray(pixels.length / 4).map((_, at) => pixels[4 * at]);
    this.#resize();
  }

  get state() {
    return { ...this.#window, zoom: this.#view.zoom, inverted: this.#inverted };
  }

  set overlay(canvas) { this.#overlay = canvas; this.#draw(); }
  set opacity(share) { this.#opacity = share; this.#draw(); }

  invert() { this.#inverted = !this.#inverted; this.#develop(); }

  fit() { this.#view = { zoom: 1, x: 0, y: 0 }; this.#draw(); }

  reset() {
    this.#window = { width: 255, level: 127.5 };
    this.#inverted = false;
    this.#view = { zoom: 1, x: 0, y: 0 };
    this.#develop();
  }

  pan(x, y) { this.#view.x += x; this.#view.y += y; this.#draw(); }

  /** Zooms by `factor` about a point of the canvas, its middle unless told. */
  zoom(factor, x = this.#canvas.width / 2, y = this.#canvas.height / 2) {
    const before = this.#view.zoom;
    const zoom = Math.min(Math.max(before * factor, ZOOM_LIMITS[0]), ZOOM_LIMITS[1]);
    const [fromMiddleX, fromMiddleY] = [x - this.#canvas.width / 2, y - this.#canvas.height / 2];
    this.#view.x = fromMiddleX - ((fromMiddleX - this.#view.x) * zoom) / before;
    this.#view.y = fromMiddleY - ((fromMiddleY - this.#view.y) * zoom) / before;
    this.#view.zoom = zoom;
    this.#draw();
  }

  shiftWindow(width, level) {
    this.#window.width = Math.min(Math.max(this.#window.width + width, 2), 1024);
    this.#window.level = Math.min(Math.max(this.#window.level + level, -128), 383);
    this.#develop();
  }

  #listen() {
    const canvas = this.#canvas;
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
    canvas.addEventListener("pointermove", (event) => {
      if (!event.buttons) return;
      const ratio = devicePixelRatio;
      const moves = event.buttons !== 1 || event.shiftKey;
      if (moves) this.pan(event.movementX * ratio, event.movementY * ratio);
      else this.shiftWindow(event.movementX, event.movementY * 0.5);
    });
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 400), event.offsetX * devicePixelRatio, event.offsetY * devicePixelRatio);
    }, { passive: false });
    canvas.addEventListener("dblclick", () => this.fit());
  }

  #resize() {
    this.#canvas.width = Math.round(this.#canvas.clientWidth * devicePixelRatio);
    this.#canvas.height = Math.round(this.#canvas.clientHeight * devicePixelRatio);
    this.#develop();
  }

  #develop() {
    if (!this.#grey) return;
    const { width, level } = this.#window;
    const curve = Uint8ClampedArray.from({ length: 256 }, (_, grey) => ((grey - level) / width + 0.5) * 255);
    if (this.#inverted) curve.forEach((grey, at) => { curve[at] = 255 - grey; });
    const context = this.#picture.getContext("2d");
    const developed = context.createImageData(this.#picture.width, this.#picture.height);
    const words = new Uint32Array(developed.data.buffer);
    this.#grey.forEach((grey, at) => { words[at] = 0xff000000 | (curve[grey] * 0x010101); });
    context.putImageData(developed, 0, 0);
    this.#draw();
  }

  #draw() {
    if (this.#queued) return;
    this.#queued = true;
    requestAnimationFrame(() => { this.#queued = false; this.#paint(); });
  }

  #paint() {
    const context = this.#context;
    const { width, height } = this.#canvas;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    if (!this.#grey) return;
    const picture = this.#picture;
    const scale = Math.min(width / picture.width, height / picture.height) * this.#view.zoom;
    const [left, top] = [
      width / 2 + this.#view.x - (picture.width * scale) / 2,
      height / 2 + this.#view.y - (picture.height * scale) / 2,
    ];
    context.imageSmoothingEnabled = scale < 4;
    context.imageSmoothingQuality = "high";
    context.drawImage(picture, left, top, picture.width * scale, picture.height * scale);
    if (this.#overlay && this.#opacity > 0) {
      context.globalAlpha = this.#opacity;
      context.imageSmoothingEnabled = true;
      context.drawImage(this.#overlay, left, top, picture.width * scale, picture.height * scale);
      context.globalAlpha = 1;
    }
    this.onChange(this.state);
  }
}
