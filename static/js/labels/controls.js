// Pointer and keyboard control of an image: drag for window, wheel for zoom, Shift+drag for pan.
import { gettext, interpolate } from "../gettext.js";

/** Lets the pointer control the image, shows its window and zoom, and loads it into `page`. */
export async function openImage(page, image, regions) {
  watchPointer(image, regions);
  const readOut = page.querySelector("[data-read-out]");
  try {
    await image.open();
    page.querySelector("[data-preview]").remove();
    page.dataset.shown = "1";
  } catch {
    page.querySelector("[data-no-image]").hidden = false;
  }
  image.onChange = () => {
    const { width, level } = image.window;
    readOut.textContent = [
      interpolate(gettext("W %(width)s L %(level)s"), { width: Math.round(width), level: Math.round(level) }),
      interpolate(gettext("zoom %(zoom)s"), { zoom: image.view.scale.toFixed(2) }),
      image.inverted && gettext("inverted"),
    ].filter(Boolean).join("   ");
  };
  image.redraw();
}

function watchPointer(image, regions) {
  const { canvas } = image;
  let from = null;
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.focus();
    canvas.setPointerCapture(event.pointerId);
    from = { point: at(event), draws: event.button === 0 && regions.down(at(event)), pans: event.shiftKey || event.button === 2 };
  });
  canvas.addEventListener("pointermove", (event) => {
    const point = at(event);
    if (!from) return regions.hover(point);
    const [x, y] = [point[0] - from.point[0], point[1] - from.point[1]];
    if (from.draws) regions.move(point);
    else {
      if (from.pans) image.pan(x, y);
      else image.shiftWindow(x / 400, y / 400);
      from.point = point;
    }
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, () => { if (from?.draws) regions.up(); from = null; });
  }
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("dblclick", () => image.fit());
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    image.zoom(Math.exp(-event.deltaY / 400), at(event));
  }, { passive: false });
}

/** Keyboard shortcuts of the image; the arrow keys move the selected region, else they pan. */
export function imageKeys(image, regions) {
  const arrow = (x, y) => (event) => {
    if (regions.selected >= 0) regions.shift(x, y, { resize: event.shiftKey });
    else image.pan(-x * 40, -y * 40);
  };
  return {
    ArrowLeft: arrow(-1, 0), ArrowRight: arrow(1, 0), ArrowUp: arrow(0, -1), ArrowDown: arrow(0, 1),
    w: () => image.shiftWindow(0.06, 0), W: () => image.shiftWindow(-0.06, 0),
    l: () => image.shiftWindow(0, 0.03), L: () => image.shiftWindow(0, -0.03),
    i: () => image.invert(), r: () => image.reset(), f: () => image.fit(),
    "+": () => image.zoom(1.25), "=": () => image.zoom(1.25), "-": () => image.zoom(0.8),
  };
}
