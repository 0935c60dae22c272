// A class activation map as a picture: bilinear between grid cells, colour and alpha by the value itself.
// The value's scale comes with the map and is never stretched to the map's own maximum: weak looks weak.
import { inferno } from "./colours.js";

const LONGER_SIDE = 320;

/** Bilinear value of `grid` at (column, row); cells keep their value to their outer edge, 0 beyond it. */
export function sample(grid, column, row) {
  const rows = grid.length;
  const columns = grid[0].length;
  if (column < -0.5 || row < -0.5 || column > columns - 0.5 || row > rows - 0.5) return 0;
  const x = Math.min(Math.max(column, 0), columns - 1);
  const y = Math.min(Math.max(row, 0), rows - 1);
  const [x0, y0] = [Math.min(Math.floor(x), Math.max(columns - 2, 0)), Math.min(Math.floor(y), Math.max(rows - 2, 0))];
  const [x1, y1] = [Math.min(x0 + 1, columns - 1), Math.min(y0 + 1, rows - 1)];
  const top = grid[y0][x0] + (grid[y0][x1] - grid[y0][x0]) * (x - x0);
  const bottom = grid[y1][x0] + (grid[y1][x1] - grid[y1][x0]) * (x - x0);
  return top + (bottom - top) * (y - y0);
}

/** Inverse of the affine (a, b, c, d, e, f): original pixel (x, y) to grid (column, row). */
export function toGrid([a, b, c, d, e, f]) {
  const determinant = a * e - b * d;
  return (x, y) => [
    (e * (x - c) - b * (y - f)) / determinant,
    (a * (y - f) - d * (x - c)) / determinant,
  ];
}

/** Canvas covering the whole original image of `rows` x `columns` pixels with the map of one finding. */
export function paint(cam, finding, { rows, columns }) {
  const shrink = LONGER_SIDE / Math.max(rows, columns);
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(columns * shrink));
  canvas.height = Math.max(1, Math.round(rows * shrink));
  const context = canvas.getContext("2d");
  const picture = context.createImageData(canvas.width, canvas.height);
  const grid = cam.grids[finding];
  const place = toGrid(cam.affine);
  for (let y = 0, at = 0; y < canvas.height; y += 1) {
    for (let x = 0; x < canvas.width; x += 1, at += 4) {
      const [column, row] = place(((x + 0.5) * columns) / canvas.width - 0.5, ((y + 0.5) * rows) / canvas.height - 0.5);
      const value = Math.min(Math.max(sample(grid, column, row) / cam.scale, 0), 1);
      const [red, green, blue] = inferno(value);
      picture.data.set([red, green, blue, 255 * value], at);
    }
  }
  context.putImageData(picture, 0, 0);
  return canvas;
}

export const strongest = (cam, finding) => Math.max(...cam.grids[finding].flat());

/** Draws the colour scale over black, as the map is drawn over the picture. */
export function paintLegend(canvas) {
  const context = canvas.getContext("2d");
  for (let x = 0; x < canvas.width; x += 1) {
    const value = x / (canvas.width - 1);
    const [red, green, blue] = inferno(value);
    context.fillStyle = `rgba(${red}, ${green}, ${blue}, ${value})`;
    context.clearRect(x, 0, 1, canvas.height);
    context.fillRect(x, 0, 1, canvas.height);
  }
}
