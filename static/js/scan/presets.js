// Windows that a reader picks by name. X-rays have no common unit: theirs are told in terms of the file's own window.
import { gettext, interpolate } from "../gettext.js";

const BY_TONE = {
  lungs: { width: 0.7, level: -0.12 },
  bones: { width: 0.7, level: 0.15 },
  contrast: { width: 0.5, level: 0 },
};
const HOUNSFIELD = {
  lungs: { width: 1500, level: -600 },
  bones: { width: 1800, level: 400 },
  contrast: { width: 400, level: 40 },
};

/** The window {width, level} in display units of a preset for a pane. */
export function windowOf(name, pane) {
  const { filed, image } = pane;
  if (name === "filed") return filed;
  if (name === "whole") return pane.range;
  if (image.modality === "CT") {
    const { width, level } = HOUNSFIELD[name];
    return { width: width / Math.abs(image.slope), level: (level - image.intercept) / image.slope };
  }
  const { width, level } = BY_TONE[name];
  return { width: width * filed.width, level: filed.level + level * filed.width };
}

/** Window and zoom of a pane as a line: in the file's own units, zoom 1.0 being one pixel of the screen for one of the image. */
export function readOut(pane) {
  const { image, window: { width, level }, mirrored, turned } = pane;
  const parts = [
    interpolate(gettext("W %(width)s L %(level)s"), {
      width: Math.round(width * Math.abs(image.slope)), level: Math.round(level * image.slope + image.intercept),
    }),
    interpolate(gettext("zoom %(zoom)s"), { zoom: pane.magnification.toFixed(2) }),
    turned && interpolate(gettext("rotated %(degrees)s°"), { degrees: turned }),
    mirrored.flipHorizontal && gettext("flipped horizontally"),
    mirrored.flipVertical && gettext("flipped vertically"),
    pane.inverted && gettext("inverted"),
    pane.choices?.opacity > 0 && pane.heat?.label,
  ];
  return parts.filter(Boolean).join("   ");
}
