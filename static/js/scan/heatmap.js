// The heatmap of one finding over the image, as colours or as outlines.
import { colourOf } from "./colours.js";
import { frame, outline, paint } from "./overlay.js";

const LEVELS = [0.25, 0.5, 0.75];
const LINE = 2;
const DASH = [6, 6];

export class Heatmap {
  #cam; #size; #made = {};

  /** `size` is {rows, columns} of the original image; `label` names the method where it is not the model's own. */
  constructor(cam, size, label = "") {
    this.#cam = cam;
    this.#size = size;
    this.label = label;
    this.frame = frame(cam, size); // the area the model analysed, where it is not the whole image
  }

  has(finding) {
    return finding in this.#cam.grids;
  }

  /** Draws over a context in whose coordinates one original pixel is 1, and one pixel of the screen `pixel`. */
  draw(context, pixel, { finding, colours, threshold, opacity, outlines }) {
    if (!this.has(finding)) return;
    context.globalAlpha = opacity;
    if (outlines) this.#drawOutlines(context, pixel, finding, colours, threshold);
    else {
      const map = this.#cached(["map", finding, colours, threshold], () => paint(this.#cam, finding, this.#size, { colours, threshold }));
      context.imageSmoothingEnabled = true;
      context.drawImage(map, 0, 0, this.#size.columns, this.#size.rows);
    }
    context.globalAlpha = 1;
    if (this.frame) this.#drawFrame(context, pixel);
  }

  #drawFrame(context, pixel) {
    context.lineWidth = pixel;
    for (const [dash, style] of [[[], "#000"], [DASH, "#bbb"]]) {
      context.setLineDash(dash.map((length) => length * pixel));
      context.strokeStyle = style;
      context.strokeRect(...this.frame);
    }
    context.setLineDash([]);
  }

  #drawOutlines(context, pixel, finding, colours, threshold) {
    const levels = threshold > 0 ? [threshold, ...LEVELS.filter((level) => level > threshold)] : LEVELS;
    const paths = this.#cached(["lines", finding, threshold], () => levels.map((level) => [level, outline(this.#cam, finding, this.#size, level)]));
    context.lineCap = "round";
    for (const [level, path] of paths) {
      for (const [width, style] of [[LINE + 2, "#000"], [LINE, `rgb(${colourOf(0.5 + level / 2, colours)})`]]) {
        context.lineWidth = width * pixel;
        context.strokeStyle = style;
        context.stroke(path);
      }
    }
  }

  /** Computed once for each set of choices: the view changes much more often. */
  #cached([kind, ...choices], make) {
    const key = choices.join();
    if (this.#made[kind]?.key !== key) this.#made[kind] = { key, result: make() };
    return this.#made[kind].result;
  }
}
