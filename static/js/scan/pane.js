// One image on the screen: a Cornerstone stack viewport with window, view and a heatmap layer.
import { Enums } from "@cornerstonejs/core";
import { extremes, fetched, percentiles } from "./images.js";

const { CAMERA_MODIFIED, IMAGE_RENDERED, VOI_MODIFIED } = Enums.Events;
const ZOOM_LIMITS = [0.2, 40];
// Measured on 69 X-rays with lung masks: 0.4 % of the lung bases are white, 21 % with a fixed share of the file's window.
const LUNG_SHARES = [0.01, 0.98];
const AROUND_LUNGS = 0.1; // of each side, where the model has not found the lungs

/** One canvas pixel is one screen pixel: the element's own box may be a fraction of one larger, and would stretch it. */
function fillScreenPixels({ width, height, style }) {
  Object.assign(style, { width: `${width / devicePixelRatio}px`, height: `${height / devicePixelRatio}px` });
}

export class Pane {
  #engine; #viewport; #canvas; #layer; #lastView = null; #settling = false; #extremes = null; #lungs = null;
  ready = false;
  heat = null;
  choices = null;
  onChange = () => {};
  onView = () => {};
  onDraw = () => {}; // after each drawing of image and heatmap

  constructor(engine, element, image, id = image.id) {
    Object.assign(this, { element, image, id });
    this.#engine = engine;
  }

  /** Resolves when the image is on the screen in full; rejects when it could not be loaded. */
  async open() {
    const { element, image } = this;
    const imageId = await fetched(image);
    this.#engine.enableElement({ viewportId: this.id, element, type: Enums.ViewportType.STACK });
    element.removeAttribute("tabindex"); // focused, it would swallow every key: its figure has the focus instead
    this.#viewport = this.#engine.getViewport(this.id);
    this.#canvas = element.querySelector("canvas.cornerstone-canvas");
    this.#addLayer();
    this.#guard();
    const drawn = new Promise((done) => element.addEventListener(IMAGE_RENDERED, done, { once: true }));
    await this.#viewport.setStack([imageId]);
    this.window = this.defaultWindow;
    this.#sizeCanvas();
    this.fit();
    this.#lastView = this.view;
    await drawn;
    element.addEventListener(CAMERA_MODIFIED, () => {
      if (this.#settling) return; // not the view yet that is kept
      this.#lastView = this.view;
      this.onView(this);
      this.onChange(this);
    });
    element.addEventListener(VOI_MODIFIED, () => { this.onView(this); this.onChange(this); });
    this.ready = true;
    new ResizeObserver(() => this.#draw()).observe(element);
    this.#watchPixelRatio();
    this.redraw();
    this.onChange(this);
  }

  get viewport() { return this.#viewport; }

  // --- Window -----------------------------------------------------------------------------------------

  get defaultWindow() { return { width: this.image.windowWidth, level: this.image.windowCenter }; }

  get window() {
    const { lower, upper } = this.#viewport.getProperties().voiRange;
    return { width: upper - lower, level: (upper + lower) / 2 };
  }

  set window({ width, level }) {
    const wide = Math.max(width, 1);
    this.#viewport.setProperties({ voiRange: { lower: level - wide / 2, upper: level + wide / 2 } });
    this.#viewport.render();
  }

  /** The window relative to the file's own: comparable between images of different depth. */
  get relativeWindow() {
    const { width, level } = this.window;
    return { width: width / this.defaultWindow.width, level: (level - this.defaultWindow.level) / this.defaultWindow.width, inverted: this.inverted };
  }

  set relativeWindow({ width, level, inverted }) {
    this.inverted = inverted;
    this.window = { width: width * this.defaultWindow.width, level: this.defaultWindow.level + level * this.defaultWindow.width };
  }

  get range() {
    const [low, high] = this.#extremes ??= extremes(this.#viewport.getCornerstoneImage());
    return { width: high - low, level: (high + low) / 2 };
  }

  /** From dark to bright in the area around the lungs, bases included. */
  get lungWindow() {
    const { columns, rows } = this.image;
    const [x, y, width, height] = this.heat?.frame ?? [AROUND_LUNGS * columns, AROUND_LUNGS * rows, (1 - 2 * AROUND_LUNGS) * columns, (1 - 2 * AROUND_LUNGS) * rows];
    const area = [Math.max(x, 0), Math.max(y, 0), Math.min(x + width, columns), Math.min(y + height, rows)];
    const key = area.join();
    if (this.#lungs?.key !== key) this.#lungs = { key, found: percentiles(this.#viewport.getCornerstoneImage(), area, LUNG_SHARES) };
    const [low, high] = this.#lungs.found;
    return { width: Math.max(high - low, 1), level: (high + low) / 2 };
  }

  get inverted() { return Boolean(this.#viewport.getProperties().invert); }

  set inverted(on) {
    if (on === this.inverted) return;
    this.#viewport.setProperties({ invert: on });
    this.#viewport.render();
    this.onChange(this);
  }

  // --- View -------------------------------------------------------------------------------------------

  get rotation() { return (Math.round(this.#viewport.getRotation()) + 360) % 360; }

  get flips() {
    const { flipHorizontal = false, flipVertical = false } = this.#viewport.getCamera();
    return { flipHorizontal, flipVertical };
  }

  rotate(degrees) {
    this.#viewport.setRotation((this.rotation + degrees + 360) % 360);
    this.#move({});
  }

  flip(axis) {
    const key = `flip${axis}`;
    this.#viewport.setCamera({ [key]: !this.flips[key] });
    this.#move({});
  }

  fit() {
    this.#move({ parallelScale: this.#fitted, focalPoint: this.#center });
  }

  /** One image pixel per screen pixel, aligned to the screen's grid. */
  actual() {
    const { element } = this;
    this.#move({ parallelScale: (element.clientHeight * devicePixelRatio * this.#finest) / 2, focalPoint: this.#center });
    const [x, y] = this.toScreen([0, 0]).map((at) => at * devicePixelRatio);
    this.pan((Math.round(x) - x) / devicePixelRatio, (Math.round(y) - y) / devicePixelRatio);
  }

  pan(x, y) {
    const [zero, there] = [this.#viewport.canvasToWorld([0, 0]), this.#viewport.canvasToWorld([x, y])];
    this.#move({ focalPoint: this.#viewport.getCamera().focalPoint.map((at, axis) => at - there[axis] + zero[axis]) });
  }

  /** Zooms by `factor` about a point of the element, by default its centre. */
  zoom(factor, point = [this.element.clientWidth / 2, this.element.clientHeight / 2]) {
    const { parallelScale, focalPoint } = this.#viewport.getCamera();
    const bounds = ZOOM_LIMITS.map((limit) => this.#fitted / limit);
    const scale = Math.min(Math.max(parallelScale / factor, bounds[1]), bounds[0]);
    const fixed = this.#viewport.canvasToWorld(point);
    this.#move({ parallelScale: scale, focalPoint: focalPoint.map((at, axis) => fixed[axis] + ((at - fixed[axis]) * scale) / parallelScale) });
  }

  /** Screen pixels per image pixel. */
  get magnification() { return this.#magnified(this.#viewport.getCamera().parallelScale); }

  /** Zoom relative to the fitted view, centre in heights of it, rotation and flips: comparable between panes. */
  get view() {
    const { parallelScale, focalPoint } = this.#viewport.getCamera();
    const offset = focalPoint.map((at, axis) => (at - this.#center[axis]) / this.#fitted);
    return { zoom: this.#fitted / parallelScale, offset, rotation: this.rotation, flips: this.flips };
  }

  set view({ zoom, offset, rotation, flips }) {
    if (rotation !== this.rotation) this.#viewport.setRotation(rotation);
    if (JSON.stringify(flips) !== JSON.stringify(this.flips)) this.#viewport.setCamera(flips);
    this.#move({ parallelScale: this.#fitted / zoom, focalPoint: this.#center.map((at, axis) => at + offset[axis] * this.#fitted) });
  }

  /** As `view`, in millimetres: the same scale on images of known pixel spacing. */
  get placement() {
    const { parallelScale, focalPoint } = this.#viewport.getCamera();
    return { scale: parallelScale / this.element.clientHeight, shift: focalPoint.map((at, axis) => at - this.#center[axis]), rotation: this.rotation, flips: this.flips };
  }

  set placement({ scale, shift, rotation, flips }) {
    if (rotation !== this.rotation) this.#viewport.setRotation(rotation);
    if (JSON.stringify(flips) !== JSON.stringify(this.flips)) this.#viewport.setCamera(flips);
    this.#move({ parallelScale: scale * this.element.clientHeight, focalPoint: this.#center.map((at, axis) => at + shift[axis]) });
  }

  /** Millimetres, or pixels, of half a screen pixel when the whole image is shown. */
  get fittedScale() { return this.#fitted / this.element.clientHeight; }

  /** What lengths of the image mean: images of the same measure can be shown at the same scale. */
  get measure() { return this.image.spacing ? this.image.spacingAt : null; }

  reset() {
    this.inverted = false;
    this.window = this.defaultWindow;
    this.view = { zoom: 1, offset: [0, 0, 0], rotation: 0, flips: { flipHorizontal: false, flipVertical: false } };
  }

  /** Window and view as plain values: the same on a pane of another size. */
  get snapshot() {
    const { zoom, offset, rotation, flips } = this.view;
    return { ...this.window, inverted: this.inverted, zoom, offset, rotation, ...flips };
  }

  set snapshot({ width, level, inverted, zoom, offset, rotation, flipHorizontal, flipVertical }) {
    this.inverted = inverted;
    this.window = { width, level };
    this.view = { zoom, offset, rotation, flips: { flipHorizontal, flipVertical } };
  }

  /** Where the image's axes point on the screen: signs of the affine's [a, b, c, d]. */
  get axes() {
    const parts = this.affine.slice(0, 4);
    const longest = Math.max(...parts.map(Math.abs));
    return parts.map((part) => (Math.abs(part) > longest / 1e3 ? Math.sign(part) : 0));
  }

  /** What is shown of the image, in its pixels: [left, top, right, bottom]. */
  get area() {
    const { clientWidth, clientHeight } = this.element;
    const [a, b] = [this.toImage([0, 0]), this.toImage([clientWidth, clientHeight])];
    const { columns, rows } = this.image;
    const [[left, right], [top, bottom]] = [columns, rows].map((most, axis) => [Math.min(a[axis], b[axis]), Math.max(a[axis], b[axis])].map((at) => Math.min(Math.max(at, 0), most)));
    return [left, top, right, bottom];
  }

  /**
   * The affine [a, b, c, d, e, f] from an image position to the element: x = a column + c row + e, y = b column + d row + f.
   * Image positions are 0 at the outer edge of the first pixel; the element's are CSS pixels. Image, heatmap and marks share it.
   */
  get affine() {
    const { rows, columns } = this.image;
    const [zero, right, below] = [[0, 0], [columns, 0], [0, rows]].map(([column, row]) => this.#viewport.worldToCanvas(this.#toWorld(column, row)));
    const [across, down] = [[right, columns], [below, rows]].map(([end, count]) => [0, 1].map((axis) => (end[axis] - zero[axis]) / count));
    return [...across, ...down, ...zero];
  }

  /** Position in the element, in CSS pixels, of an image position [column, row]. */
  toScreen([column, row]) {
    const [a, b, c, d, e, f] = this.affine;
    return [a * column + c * row + e, b * column + d * row + f];
  }

  /** Image position [column, row] of a position in the element: the inverse of `toScreen`. */
  toImage([x, y]) {
    const [a, b, c, d, e, f] = this.affine;
    const determinant = a * d - b * c;
    return [(d * (x - e) - c * (y - f)) / determinant, (a * (y - f) - b * (x - e)) / determinant];
  }

  redraw() { this.#viewport.render(); }

  /** Shows the area around a point of the element of `other`, enlarged by `factor`. */
  magnify(other, point, factor) {
    const { parallelScale } = other.viewport.getCamera();
    Object.assign(this, { heat: other.heat, choices: other.choices });
    if (other.rotation !== this.rotation) this.#viewport.setRotation(other.rotation);
    this.#viewport.setCamera(other.flips);
    this.relativeWindow = other.relativeWindow;
    this.#move({
      parallelScale: (parallelScale * this.element.clientHeight) / other.element.clientHeight / factor,
      focalPoint: other.viewport.canvasToWorld(point),
    });
  }

  #toWorld(column, row) { return [column * this.#spacing[1], row * this.#spacing[0], 0]; }

  get #spacing() { return this.image.spacing ?? [1, 1]; }

  get #center() {
    const { rows, columns } = this.image;
    return [(columns / 2) * this.#spacing[1], (rows / 2) * this.#spacing[0], 0];
  }

  get #fitted() {
    const { clientWidth, clientHeight } = this.element;
    const sides = [this.image.columns * this.#spacing[1], this.image.rows * this.#spacing[0]];
    const [wide, high] = this.rotation % 180 ? sides.reverse() : sides;
    return Math.max(high, (wide * clientHeight) / clientWidth) / 2;
  }

  #move({ parallelScale, focalPoint }) {
    const camera = this.#viewport.getCamera();
    const position = focalPoint && camera.position.map((at, axis) => at + focalPoint[axis] - camera.focalPoint[axis]);
    this.#viewport.setCamera({ parallelScale: parallelScale ?? camera.parallelScale, ...(focalPoint && { focalPoint, position }) });
    this.#viewport.render();
  }

  // --- Size: of the element, in the screen's pixels ----------------------------------------------------

  get #wanted() { return [this.element.clientWidth, this.element.clientHeight].map((side) => Math.round(side * devicePixelRatio)); }

  /** Cornerstone's CPU rendering sizes its canvas in CSS pixels: too coarse for a high-density screen. */
  #sizeCanvas() {
    [this.#canvas.width, this.#canvas.height] = this.#wanted;
    fillScreenPixels(this.#canvas);
    this.#viewport.setCamera({}); // until a camera is set, positions refer to the former size
  }

  /** Brings canvas and view to the element's present size, before anything reads or changes them. */
  #settle() {
    if (!this.#lastView || this.#settling) return;
    const [width, height] = this.#wanted;
    if (!width || !height || (this.#canvas.width === width && this.#canvas.height === height)) return;
    this.#settling = true;
    this.#sizeCanvas();
    this.view = this.#lastView;
    this.#settling = false;
    this.onChange(this); // the zoom in screen pixels is another
  }

  /** Everybody, Cornerstone's own tools too, reaches the camera through these: none may see a former size. */
  #guard() {
    const viewport = this.#viewport;
    for (const name of ["getCamera", "setCamera", "setRotation", "canvasToWorld", "worldToCanvas"]) {
      const run = viewport[name].bind(viewport);
      viewport[name] = (...values) => { this.#settle(); return run(...values); };
    }
    this.#convertScale();
    const render = viewport.customRenderViewportToCanvas;
    viewport.customRenderViewportToCanvas = (...values) => {
      this.#settle();
      const rendered = render(...values);
      this.#drawLayer();
      this.onDraw();
      return rendered;
    };
  }

  /** Draws image and layer now: a canvas that was resized is empty until then. */
  #draw() {
    if (this.ready && this.element.clientWidth) this.#viewport.customRenderViewportToCanvas();
    this.redraw(); // the tools draw the measurements
  }

  #watchPixelRatio() {
    const query = matchMedia(`(resolution: ${devicePixelRatio}dppx)`);
    query.addEventListener("change", () => { this.#draw(); this.#watchPixelRatio(); }, { once: true });
  }

  /** Cornerstone's CPU rendering returns the scale in screen pixels but takes it in CSS pixels: convert here. */
  #convertScale() {
    const viewport = this.#viewport;
    const set = viewport.setCamera.bind(viewport);
    viewport.setCamera = ({ parallelScale, ...camera }) => {
      if (parallelScale) camera.scale = this.#magnified(parallelScale);
      set(camera);
    };
  }

  #magnified(parallelScale) { return (this.element.clientHeight * devicePixelRatio * this.#finest) / 2 / parallelScale; }

  /** The shorter side of a pixel: Cornerstone's CPU rendering scales by it, and stretches the longer one. */
  get #finest() { return Math.min(...this.#spacing); }

  // --- The layer over it ------------------------------------------------------------------------------

  #addLayer() {
    this.#layer = document.createElement("canvas");
    this.#layer.className = "heat";
    this.#canvas.after(this.#layer);
  }

  #drawLayer() {
    const [width, height] = [this.#canvas.width, this.#canvas.height];
    if (this.#layer.width !== width || this.#layer.height !== height) Object.assign(this.#layer, { width, height });
    fillScreenPixels(this.#layer);
    const context = this.#layer.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    if (!this.heat || !this.choices?.opacity) return;
    const affine = this.affine.map((part) => part * devicePixelRatio);
    context.setTransform(...affine);
    this.heat.draw(context, devicePixelRatio / Math.hypot(affine[0], affine[1]), this.choices);
  }
}
