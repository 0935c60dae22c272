// Window presets. X-rays have no common unit: their presets are relative to the file's own window, and the lungs' to what the lungs show.
import { gettext, interpolate } from "../gettext.js";

const RELATIVE = {
  bones: { width: 0.7, level: 0.15 },
  contrast: { width: 0.5, level: 0 },
};
const HOUNSFIELD = {
  lungs: { width: 1500, level: -600 },
  bones: { width: 1800, level: 400 },
  contrast: { width: 400, level: 40 },
};

/** The window {width, level} of a preset for a pane, in display units. */
export function windowOf(name, pane) {
  const { defaultWindow, image } = pane;
  if (name === "default") return defaultWindow;
  if (name === "full-range") return pane.range;
  if (image.modality === "CT") {
    const { width, level } = HOUNSFIELD[name];
    return { width: width / Math.abs(image.slope), level: (level - image.intercept) / image.slope };
  }
  if (name === "lungs") return pane.lungWindow;
  const { width, level } = RELATIVE[name];
  return { width: width * defaultWindow.width, level: defaultWindow.level + level * defaultWindow.width };
}

/** Whether a pane has the window of a preset, to the rounding of the read-out. */
export function isWindow(name, pane) {
  if (name === "own") return false;
  const [wanted, now] = [windowOf(name, pane), pane.window];
  return Math.abs(wanted.width - now.width) < 1 && Math.abs(wanted.level - now.level) < 1;
}

/** Window and zoom of a pane in one line: in the file's own units; zoom 1.00 is one screen pixel per image pixel. */
export function readOut(pane) {
  const { image, window: { width, level }, flips, rotation } = pane;
  const parts = [
    interpolate(gettext("W %(width)s L %(level)s"), {
      width: Math.round(width * Math.abs(image.slope)), level: Math.round(level * image.slope + image.intercept),
    }),
    interpolate(gettext("zoom %(zoom)s"), { zoom: pane.magnification.toFixed(2) }),
    rotation && interpolate(gettext("rotated %(degrees)s°"), { degrees: rotation }),
    flips.flipHorizontal && gettext("flipped horizontally"),
    flips.flipVertical && gettext("flipped vertically"),
    pane.inverted && gettext("inverted"),
    pane.choices?.opacity > 0 && pane.heat?.label,
  ];
  return parts.filter(Boolean).join("   ");
}
