// The hand on a picture: window by drag, zoom by wheel, pan with Shift; and its keys.
export function watchPicture(picture, boxes) {
  const { canvas } = picture;
  let from = null;
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.focus();
    canvas.setPointerCapture(event.pointerId);
    from = { point: at(event), box: event.button === 0 && boxes.down(at(event)), pans: event.shiftKey || event.button === 2 };
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!from) return;
    const point = at(event);
    const [x, y] = [point[0] - from.point[0], point[1] - from.point[1]];
    if (from.box) boxes.move(point);
    else {
      if (from.pans) picture.pan(x, y);
      else picture.shiftWindow(x / 400, y / 400);
      from.point = point;
    }
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, () => { if (from?.box) boxes.up(); from = null; });
  }
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("dblclick", () => picture.fit());
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    picture.zoom(Math.exp(-event.deltaY / 400), at(event));
  }, { passive: false });
}

/** Keys of the picture; the arrows move the chosen box, else the picture. */
export function pictureKeys(picture, boxes) {
  const arrow = (x, y) => (event) => {
    if (boxes.chosen >= 0) boxes.nudge(x, y, { size: event.shiftKey });
    else picture.pan(-x * 40, -y * 40);
  };
  return {
    ArrowLeft: arrow(-1, 0), ArrowRight: arrow(1, 0), ArrowUp: arrow(0, -1), ArrowDown: arrow(0, 1),
    w: () => picture.shiftWindow(0.06, 0), W: () => picture.shiftWindow(-0.06, 0),
    l: () => picture.shiftWindow(0, 0.03), L: () => picture.shiftWindow(0, -0.03),
    i: () => picture.invert(), r: () => picture.reset(), f: () => picture.fit(),
    "+": () => picture.zoom(1.25), "=": () => picture.zoom(1.25), "-": () => picture.zoom(0.8),
  };
}
