// Drives the viewer by random sequences, and compares where image and heatmap were really drawn.
(() => {
  const drawn = new WeakMap(); // canvas to the last drawing on it
  for (const name of ["drawImage", "stroke"]) { // outlines are stroked
    const run = CanvasRenderingContext2D.prototype[name];
    CanvasRenderingContext2D.prototype[name] = function (...values) {
      const { a, b, c, d, e, f } = this.getTransform();
      drawn.set(this.canvas, { affine: [a, b, c, d, e, f], width: this.canvas.width, height: this.canvas.height });
      return run.apply(this, values);
    };
  }
  let ratio = 1;
  let full = null;
  let compared = 0;
  const listeners = new Set();
  Object.defineProperty(window, "devicePixelRatio", { get: () => ratio });
  window.matchMedia = () => ({ matches: false, addEventListener: (_, run) => listeners.add(run), removeEventListener() {} });
  Object.defineProperty(document, "fullscreenElement", { get: () => full });
  const fill = (element, on) => Object.assign(element.style, on ? { position: "fixed", inset: "0", zIndex: 9 } : { position: "", inset: "", zIndex: "" });
  Element.prototype.requestFullscreen = async function () { full = this; fill(this, true); };
  document.exitFullscreen = async () => { fill(full, false); full = null; };

  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const generator = (seed) => () => { // mulberry32
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
  const KEYS = [..."vpzgf0+-tTxyirshno[]wWlL", ...[1, 2, 3, 4, 5].map((digit) => `Shift+${digit}`), "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"];
  const RATIOS = [1, 1.25, 1.5, 2];

  function steps(random) {
    const one = (list) => list[Math.floor(random() * list.length)];
    const panes = [...document.querySelectorAll("[data-viewport]")];
    const at = (pane) => {
      const box = pane.getBoundingClientRect();
      return { clientX: box.left + box.width * random(), clientY: box.top + box.height * random(), bubbles: true, cancelable: true };
    };
    const mouse = (target, type, place, more = {}) => {
      target.dispatchEvent(new PointerEvent(`pointer${type}`, { ...place, isPrimary: true, pointerType: "mouse", ...more }));
      target.dispatchEvent(new MouseEvent(`mouse${type}`, { ...place, ...more }));
    };
    const pressed = (name) => (name.startsWith("Shift+") ? { key: "shifted", code: `Digit${name.at(-1)}`, shiftKey: true } : { key: name });
    const key = (name) => [`key ${name}`, () => document.body.dispatchEvent(new KeyboardEvent("keydown", { ...pressed(name), bubbles: true, cancelable: true }))];
    const kinds = [
      () => key(one(KEYS)), () => key(one(KEYS)), () => key(one(KEYS)),
      () => { const deltaY = Math.round(400 * (random() - 0.5)); return [`wheel ${deltaY}`, () => { const pane = one(panes); pane.dispatchEvent(new WheelEvent("wheel", { ...at(pane), deltaY })); }]; },
      () => ["press", () => { const pane = one(panes); mouse(pane, "down", at(pane), { button: 0, buttons: 1 }); }],
      () => ["move", () => { const pane = one(panes); mouse(pane, "move", at(pane), { buttons: 1 }); }],
      () => ["release", () => { const pane = one(panes); mouse(pane, "up", at(pane)); }],
      () => { const [width, height] = [360 + Math.round(900 * random()), 240 + Math.round(420 * random())]; return [`resize ${width} x ${height}`, () => Object.assign(document.querySelector("[data-stage]").style, { width: `${width}px`, height: `${height}px` })]; },
      () => { const next = one(RATIOS); return [`ratio ${next}`, () => { ratio = next; const waiting = [...listeners]; listeners.clear(); waiting.forEach((run) => run()); }]; },
      () => ["frame", frame],
    ];
    return Array.from({ length: 3 + Math.floor(8 * random()) }, () => one(kinds)());
  }

  /** The affine from image pixels to the page, in CSS pixels; a text where nothing valid is drawn. */
  function placed(canvas) {
    const last = drawn.get(canvas);
    if (!last || last.width !== canvas.width || last.height !== canvas.height) return "is not drawn at its present size";
    const box = canvas.getBoundingClientRect();
    const [x, y] = [box.width / canvas.width, box.height / canvas.height];
    const [a, b, c, d, e, f] = last.affine;
    return [a * x, b * y, c * x, d * y, e * x + box.left, f * y + box.top];
  }

  function wrong(canvas, { rows, columns, spacing }) {
    const layer = canvas.parentElement.querySelector(":scope > canvas.heat");
    const image = placed(canvas);
    if (typeof image === "string") return `image ${image}`;
    const [a, b, c, d] = image;
    const aspect = (Math.hypot(a, b) / spacing[1]) / (Math.hypot(c, d) / spacing[0]);
    if (Math.abs(aspect - 1) > 0.01) return `aspect ratio is ${aspect.toFixed(3)} of that in millimetres`;
    if (Math.abs(a * c + b * d) > 0.01 * Math.hypot(a, b) * Math.hypot(c, d)) return "image is sheared";
    if (!layer.getContext("2d").getImageData(0, 0, layer.width, layer.height).data.some(Boolean)) return ""; // the heatmap is off or off-screen
    compared += 1;
    const heat = placed(layer);
    if (typeof heat === "string") return `heatmap ${heat}`;
    const far = [[0, 0], [columns, 0], [0, rows], [columns, rows]].map(([x, y]) => Math.hypot(
      (a - heat[0]) * x + (c - heat[2]) * y + image[4] - heat[4], (b - heat[1]) * x + (d - heat[3]) * y + image[5] - heat[5],
    ));
    return Math.max(...far) > 1 ? `heatmap is ${Math.max(...far).toFixed(1)} px off` : "";
  }

  /** Runs sequences; returns how many heatmaps were compared, and the first failures with their seeds and steps. */
  window.tryViewer = async (first, count) => {
    const images = JSON.parse(document.querySelector("#images").textContent);
    const failures = [];
    for (let seed = first; seed < first + count && failures.length < 5; seed += 1) {
      const done = [];
      for (const [name, run] of steps(generator(seed))) {
        done.push(name);
        await run();
      }
      await frame();
      await frame();
      for (const canvas of document.querySelectorAll(".cornerstone-canvas")) {
        if (canvas.closest(".magnifier:not(.visible)")) continue;
        const at = [...document.querySelectorAll("[data-viewer]")].indexOf(canvas.closest("[data-viewer]"));
        const found = wrong(canvas, images[at]);
        if (found) failures.push(`seed ${seed}, pane ${at}${canvas.closest(".magnifier") ? " (magnifier)" : ""}: ${found}; after ${done.join(", ")}`);
      }
    }
    return { compared, failures };
  };
})();
