// A class activation map as an image: bilinear between grid cells, colour and alpha by value.
// The scale comes with the map and is never stretched to its maximum, so that a weak map looks weak.
import { colourOf } from "./colours.js";

const LONGER_SIDE = 512; // enough for a grid of a dozen cells a side
const SHADES = 1024;
const OUTLINED = 160;
// Above the scale the map is hatched, and the anatomy shows through between the lines; classifier/images/heatmap.py draws the same.
const SATURATED = 1 + 1e-9;
const [HATCH_LINES, HATCH_SHARE, GAP_OPACITY] = [48, 0.3, 0.25];

/** Bilinear value of a grid at (column, row); cells keep their value to their outer edge, 0 beyond it. */
export function sampler(grid) {
  const [rows, columns, cells] = [grid.length, grid[0].length, Float64Array.from(grid.flat())];
  return (column, row) => {
    if (!(column >= -0.5 && row >= -0.5 && column <= columns - 0.5 && row <= rows - 0.5)) return 0;
    const x = Math.min(Math.max(column, 0), columns - 1);
    const y = Math.min(Math.max(row, 0), rows - 1);
    const x0 = Math.floor(x);
    const x1 = Math.min(x0 + 1, columns - 1);
    const above = Math.floor(y) * columns;
    const below = Math.min(Math.floor(y) + 1, rows - 1) * columns;
    const top = cells[above + x0] + (cells[above + x1] - cells[above + x0]) * (x - x0);
    const bottom = cells[below + x0] + (cells[below + x1] - cells[below + x0]) * (x - x0);
    return top + (bottom - top) * (y - Math.floor(y));
  };
}

/** Inverse of an affine (a, b, c, d, e, f): original pixel (x, y) to grid (column, row). */
export function inverse([a, b, c, d, e, f]) {
  const determinant = a * e - b * d;
  return [e, -b, b * f - e * c, -d, a, d * c - a * f].map((part) => part / determinant);
}

/** The area of the original that the map covers, in pixels: [x, y, width, height]; null for all of it. */
export function frame({ affine: [a, b, c, d, e, f], grids }, { rows, columns }) {
  const [grid] = Object.values(grids);
  const corners = [[-0.5, -0.5], [grid[0].length - 0.5, grid.length - 0.5]];
  const [[left, top], [right, low]] = corners.map(([x, y]) => [a * x + b * y + c + 0.5, d * x + e * y + f + 0.5]);
  const [width, height] = [Math.abs(right - left), Math.abs(low - top)];
  return width > columns - 1 && height > rows - 1 ? null : [Math.min(left, right), Math.min(top, low), width, height];
}

/** The map's strength (1 = the scale) on a raster that covers the whole original: {width, height, values}. */
function raster(cam, finding, { rows, columns }, longest) {
  const shrink = Math.min(1, longest / Math.max(rows, columns));
  const [width, height] = [columns, rows].map((side) => Math.max(1, Math.round(side * shrink)));
  const [a, b, c, d, e, f] = inverse(cam.affine);
  const value = sampler(cam.grids[finding]);
  const values = new Float64Array(width * height);
  for (let line = 0, at = 0; line < height; line += 1) {
    const y = ((line + 0.5) * rows) / height - 0.5;
    for (let place = 0; place < width; place += 1, at += 1) {
      const x = ((place + 0.5) * columns) / width - 0.5;
      values[at] = value(a * x + b * y + c, d * x + e * y + f) / cam.scale;
    }
  }
  return { width, height, values };
}

/** Canvas covering the whole original image of `rows` x `columns` pixels with the map of one finding. */
export function paint(cam, finding, size, { colours = "inferno", threshold = 0 } = {}) {
  const { width, height, values } = raster(cam, finding, size, LONGER_SIDE);
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const shades = Array.from({ length: SHADES + 1 }, (_, shade) => colourOf(shade / SHADES, colours));
  for (let at = 0; at < values.length; at += 1) {
    if (!(values[at] > 0) || values[at] < threshold) continue;
    const value = Math.min(values[at], 1);
    const shade = shades[Math.round(value * SHADES)];
    for (let channel = 0; channel < 3; channel += 1) image.data[4 * at + channel] = shade[channel];
    const gap = values[at] > SATURATED && !isLine(at % width, Math.floor(at / width), Math.max(width, height));
    image.data[4 * at + 3] = 255 * (gap ? GAP_OPACITY : value);
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

const isLine = (x, y, longest) => (((x + 0.5 + y + 0.5) / longest) * HATCH_LINES) % 1 < HATCH_SHARE;

/** Outline of where the map is at least `level` of its scale, as a Path2D in pixels of the original image. */
export function outline(cam, finding, size, level) {
  const { width, height, values } = raster(cam, finding, size, OUTLINED);
  const path = new Path2D();
  const [stepX, stepY] = [size.columns / width, size.rows / height];
  const value = (x, y) => (x < 0 || y < 0 || x >= width || y >= height ? 0 : values[y * width + x]);
  // Contours by linear interpolation. Outside the image the map is 0, so that every outline closes.
  for (let y = -1; y < height; y += 1) {
    for (let x = -1; x < width; x += 1) {
      const corners = [[x, y], [x + 1, y], [x + 1, y + 1], [x, y + 1]];
      const ends = crossings(corners, corners.map(([column, row]) => value(column, row) - level));
      for (let at = 0; at + 1 < ends.length; at += 2) {
        path.moveTo((ends[at][0] + 0.5) * stepX, (ends[at][1] + 0.5) * stepY);
        path.lineTo((ends[at + 1][0] + 0.5) * stepX, (ends[at + 1][1] + 0.5) * stepY);
      }
    }
  }
  return path;
}

/** Where the sign changes along the edges of one square, in order. */
function crossings(corners, heights) {
  return corners.flatMap((corner, at) => {
    const next = (at + 1) % 4;
    if (heights[at] >= 0 === heights[next] >= 0) return [];
    const share = heights[at] / (heights[at] - heights[next]);
    return [[0, 1].map((axis) => corner[axis] + (corners[next][axis] - corner[axis]) * share)];
  });
}

export const strongest = (cam, finding) => Math.max(...cam.grids[finding].flat());

/** Draws the colour scale over black, as the map is drawn over the image. */
export function paintLegend(canvas, { colours = "inferno", threshold = 0 } = {}) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  for (let x = 0; x < canvas.width; x += 1) {
    const value = x / (canvas.width - 1);
    if (value < threshold) continue;
    const [red, green, blue] = colourOf(value, colours);
    context.fillStyle = `rgba(${red}, ${green}, ${blue}, ${value})`;
    context.fillRect(x, 0, 1, canvas.height);
  }
}
