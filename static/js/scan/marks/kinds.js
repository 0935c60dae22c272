// The kinds of marks: how many points each has, what it is called, and what it measures. Points and values as webapp/labels/marks states them.
import { gettext, interpolate } from "../../gettext.js";

/** `joined(n)`: whether the point after the n-th follows the pointer at once; `places`: where the keyboard puts them, in shares of the pane. */
const two = { points: 2, joined: (count) => count === 1 };
export const KINDS = {
  length: { ...two, name: () => gettext("Length"), places: [[0.4, 0.5], [0.6, 0.5]] },
  angle: { points: 3, joined: (count) => count < 3, name: () => gettext("Angle"), places: [[0.4, 0.4], [0.5, 0.6], [0.6, 0.4]] },
  rectangle: { ...two, name: () => gettext("Rectangle"), places: [[0.45, 0.45], [0.55, 0.55]] },
  ellipse: { ...two, name: () => gettext("Ellipse"), places: [[0.45, 0.45], [0.55, 0.55]] },
  probe: { points: 1, joined: () => false, name: () => gettext("Pixel value"), places: [[0.5, 0.5]] },
  arrow: { ...two, name: () => gettext("Arrow"), places: [[0.5, 0.5], [0.6, 0.4]] },
  cardiothoracic: {
    points: 4, joined: (count) => count === 1 || count === 3, name: () => gettext("Cardiothoracic ratio"),
    places: [[0.42, 0.6], [0.62, 0.6], [0.3, 0.68], [0.72, 0.68]],
  },
};

/** What to do next for a mark with `count` points set. */
export function guidance(kind, count) {
  if (kind === "cardiothoracic") {
    return count < 2 ? gettext("Draw the greatest width of the heart") : gettext("Now the greatest inner width of the thorax");
  }
  if (kind === "angle") return count < 2 ? gettext("Draw the first leg") : gettext("Now the end of the second leg");
  if (kind === "arrow") return gettext("Press on the target and drag away from it");
  return "";
}

const MOST_PIXELS = 4e6; // while a region is drawn; the server measures it in any case

/** The values of a mark, as the server computes them; {} for a region that is too large to measure while it is drawn. */
export function measured(kind, points, { spacing, spacingAt, ...image }, levels) {
  const [down, across] = spacing ?? [1, 1];
  const length = (a, b) => {
    const [x, y] = [b[0] - a[0], b[1] - a[1]];
    return { px: Math.hypot(x, y), ...(spacing && { mm: Math.hypot(x * across, y * down), mm_at: spacingAt }) };
  };
  if (kind === "length") return length(...points);
  if (kind === "angle") {
    const [one, other] = [0, 2].map((at) => Math.atan2((points[at][1] - points[1][1]) * down, (points[at][0] - points[1][0]) * across));
    const turn = (Math.abs(one - other) * 180) / Math.PI;
    return { degrees: Math.min(turn, 360 - turn) };
  }
  if (kind === "cardiothoracic") {
    const [heart, thorax] = [length(points[0], points[1]), length(points[2], points[3])];
    const unit = spacing ? "mm" : "px";
    return { heart, thorax, ratio: heart[unit] / thorax[unit] };
  }
  return kind === "arrow" ? {} : grey(kind, points, image, levels);
}

function grey(kind, points, { rows, columns, slope, intercept }, levels) {
  if (kind === "probe") {
    const [x, y] = [Math.min(Math.floor(points[0][0]), columns - 1), Math.min(Math.floor(points[0][1]), rows - 1)];
    return { value: levels[y * columns + x] * slope + intercept };
  }
  const [left, right] = [points[0][0], points[1][0]].sort((a, b) => a - b);
  const [top, bottom] = [points[0][1], points[1][1]].sort((a, b) => a - b);
  if ((right - left) * (bottom - top) > MOST_PIXELS) return {};
  const [wide, high] = [Math.max((right - left) / 2, 1e-9), Math.max((bottom - top) / 2, 1e-9)];
  let [pixels, sum, powers, min, max] = [0, 0, 0, Infinity, -Infinity];
  for (let y = Math.floor(top); y < Math.min(Math.ceil(bottom), rows); y += 1) {
    for (let x = Math.floor(left); x < Math.min(Math.ceil(right), columns); x += 1) {
      const [atX, atY] = [x + 0.5, y + 0.5];
      const inside = kind === "rectangle"
        ? atX >= left && atX < right && atY >= top && atY < bottom
        : ((atX - left - wide) / wide) ** 2 + ((atY - top - high) / high) ** 2 <= 1;
      if (!inside) continue;
      const value = levels[y * columns + x] * slope + intercept;
      [pixels, sum, powers, min, max] = [pixels + 1, sum + value, powers + value * value, Math.min(min, value), Math.max(max, value)];
    }
  }
  if (!pixels) return {};
  const mean = sum / pixels;
  return { mean, sd: Math.sqrt(Math.max(powers / pixels - mean * mean, 0)), min, max, pixels };
}

const number = (value) => String(Number(value.toPrecision(6)));

function lengthText({ px, mm, mm_at: at }) {
  if (mm === undefined) return interpolate(gettext("%(px)s px"), { px: px.toFixed(0) });
  const length = mm.toFixed(1);
  if (at === "detector") return interpolate(gettext("%(length)s mm at the detector"), { length }); // longer than in the patient
  if (at === "unstated") return interpolate(gettext("%(length)s mm (plane not stated)"), { length });
  return interpolate(gettext("%(length)s mm (calibrated)"), { length });
}

/** The values in words, line by line; empty where the mark measures nothing. */
export function lines(values) {
  if ("px" in values) return [lengthText(values)];
  if ("degrees" in values) return [`${values.degrees.toFixed(1)}°`];
  if ("ratio" in values) {
    return [
      interpolate(gettext("Ratio %(ratio)s"), { ratio: values.ratio.toFixed(2) }),
      interpolate(gettext("heart %(length)s"), { length: lengthText(values.heart) }),
      interpolate(gettext("thorax %(length)s"), { length: lengthText(values.thorax) }),
    ];
  }
  if ("mean" in values) {
    return [
      interpolate(gettext("mean %(mean)s, SD %(sd)s"), { mean: number(values.mean), sd: number(values.sd) }),
      interpolate(gettext("min %(min)s, max %(max)s"), { min: number(values.min), max: number(values.max) }),
    ];
  }
  return "value" in values ? [number(values.value)] : [];
}
