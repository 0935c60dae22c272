// Drag tools: the selected one on the first button or one finger; pan and zoom always on the others.
// Cornerstone's magnifier does not work with CPU rendering: see magnifier.js.
import {
  AngleTool, Enums, LengthTool, PanTool, ToolGroupManager, WindowLevelTool, ZoomTool, addTool, annotation, init,
} from "@cornerstonejs/tools";
import { Enums as Core, eventTarget, triggerEvent, utilities } from "@cornerstonejs/core";
import { imageOf } from "./images.js";
import { gettext, interpolate } from "../gettext.js";

const GROUP = "hilum";
const { MouseBindings: Mouse, KeyboardBindings: Key, ChangeTypes: Change, Events } = Enums;
const TOOLS = { window: WindowLevelTool, pan: PanTool, zoom: ZoomTool, length: LengthTool, angle: AngleTool };
const ALWAYS = {
  pan: [{ mouseButton: Mouse.Auxiliary }, { mouseButton: Mouse.Primary, modifierKey: Key.Shift }],
  zoom: [{ mouseButton: Mouse.Secondary }, { numTouchPoints: 2 }],
};
const CHOSEN = [{ mouseButton: Mouse.Primary }, { numTouchPoints: 1 }];
const STYLE = {
  color: "rgb(255, 214, 92)", colorHighlighted: "rgb(255, 255, 255)", colorSelected: "rgb(255, 214, 92)",
  textBoxColor: "rgb(255, 214, 92)", textBoxColorHighlighted: "rgb(255, 255, 255)", textBoxColorSelected: "rgb(255, 214, 92)",
  lineWidth: "1.5", textBoxFontSize: "15px", textBoxFontFamily: "system-ui, sans-serif", textBoxLinkLineWidth: "1",
};

const statsOf = ({ cachedStats }, targetId) => cachedStats?.[targetId] ?? {};
const withUnit = ({ length, unit }) => `${length.toFixed(unit === "mm" ? 1 : 0)} ${unit}`;
const lengthLabel = (data, targetId) => {
  const stats = statsOf(data, targetId);
  if (!Number.isFinite(stats.length)) return [];
  const atDetector = imageOf(targetId)?.spacingAt === "detector"; // longer than in the patient
  const length = withUnit(stats);
  return [atDetector ? interpolate(gettext("%(length)s at the detector"), { length }) : length];
};
const angleLabel = (data, targetId) => {
  const { angle } = statsOf(data, targetId);
  return Number.isFinite(angle) ? [`${angle.toFixed(1)}°`] : [];
};

export class Tools {
  #group; #now = "window"; #placing = null; #unreported = null;
  onChange = () => {};
  onMeasured = () => {};

  constructor(panes) {
    init();
    Object.values(TOOLS).forEach((tool) => addTool(tool));
    const { style } = annotation.config;
    style.setDefaultToolStyles({ global: { ...style.getDefaultToolStyles().global, ...STYLE } });
    this.panes = panes;
    this.#group = ToolGroupManager.createToolGroup(GROUP);
    const settings = { length: { getTextLines: lengthLabel }, angle: { getTextLines: angleLabel } };
    for (const [name, tool] of Object.entries(TOOLS)) this.#group.addTool(tool.toolName, settings[name]);
    eventTarget.addEventListener(Events.ANNOTATION_MODIFIED, ({ detail: { annotation: measured, changeType } }) => {
      if (measured !== this.#unreported || changeType !== Change.StatsUpdated) return;
      this.#unreported = null;
      this.onMeasured(describe(measured));
      this.#render(); // its label was drawn before its values were computed
    });
  }

  addPane(pane) {
    const { id: viewportId, renderingEngineId, element } = pane.viewport;
    triggerEvent(eventTarget, Core.Events.ELEMENT_ENABLED, { element, viewportId, renderingEngineId }); // again: the tools were not listening yet
    this.#group.addViewport(viewportId, renderingEngineId);
    this.choose(this.#now);
  }

  get now() { return this.#now; }

  choose(name) {
    this.stopPlacing();
    for (const [other, tool] of Object.entries(TOOLS)) {
      // Passive measuring tools still let their measurements be moved.
      this.#group.setToolPassive(tool.toolName, { removeAllBindings: true });
      const bindings = [...(ALWAYS[other] ?? []), ...(other === name ? CHOSEN : [])];
      if (bindings.length) this.#group.setToolActive(tool.toolName, { bindings });
    }
    this.#now = name;
    this.onChange(name);
  }

  get measures() { return this.#now === "length" || this.#now === "angle"; }

  /** All measurements on the panes, the oldest first. */
  get measured() {
    return annotation.state.getAllAnnotations().filter(({ metadata }) => [LengthTool.toolName, AngleTool.toolName].includes(metadata.toolName));
  }

  /** Deletes the selected measurements, else the last one. */
  remove() {
    this.stopPlacing();
    const selected = this.measured.filter(({ annotationUID }) => annotation.selection.isAnnotationSelected(annotationUID));
    const removed = selected.length ? selected : this.measured.slice(-1);
    removed.forEach(({ annotationUID }) => annotation.state.removeAnnotation(annotationUID));
    this.#render();
    return removed.length;
  }

  clear() {
    this.measured.forEach(({ annotationUID }) => annotation.state.removeAnnotation(annotationUID));
    this.stopPlacing();
    this.#render();
  }

  #render() { this.panes.filter((pane) => pane.ready).forEach((pane) => pane.viewport.render()); }

  // --- Measuring by keyboard: Enter places a measurement in the centre, arrow keys move its points in turn ----------

  get placing() { return this.#placing; }

  place(pane) {
    if (this.#placing) return this.#nextHandle();
    const { clientWidth: width, clientHeight: height } = pane.element;
    const places = this.#now === "angle" ? [[0.4, 0.4], [0.5, 0.6], [0.6, 0.4]] : [[0.4, 0.5], [0.6, 0.5]];
    const points = places.map(([x, y]) => pane.viewport.canvasToWorld([x * width, y * height]));
    const annotationUID = utilities.uuidv4();
    TOOLS[this.#now].hydrate(pane.viewport.id, points, { annotationUID });
    const placed = annotation.state.getAnnotation(annotationUID);
    placed.data.handles.activeHandleIndex = 0;
    this.#placing = { pane, placed, handle: 0 };
    this.#show();
    return placed;
  }

  moveHandle(x, y) {
    const { pane, placed, handle } = this.#placing;
    const points = placed.data.handles.points;
    const [left, top] = pane.viewport.worldToCanvas(points[handle]);
    points[handle] = pane.viewport.canvasToWorld([left + x, top + y]);
    this.#show();
  }

  #nextHandle() {
    const { placed, handle } = this.#placing;
    if (handle + 1 === placed.data.handles.points.length) return this.stopPlacing();
    this.#placing.handle += 1;
    placed.data.handles.activeHandleIndex = handle + 1;
    this.#show();
    return placed;
  }

  stopPlacing() {
    if (!this.#placing) return null;
    const { placed } = this.#placing;
    placed.highlighted = false;
    placed.data.handles.activeHandleIndex = null;
    this.#placing = null;
    this.report(placed);
    return placed;
  }

  /** Reports a measurement through onMeasured once its values are up to date: they are computed when it is drawn. */
  report(measured) {
    this.#unreported = measured;
    measured.invalidated = true;
    this.#render();
  }

  #show() {
    const { pane, placed } = this.#placing;
    placed.invalidated = true;
    placed.highlighted = true;
    pane.viewport.render();
  }
}

/** A finished measurement as text for screen readers. */
function describe({ data, metadata }) {
  const stats = Object.values(data.cachedStats ?? {})[0] ?? {};
  if (metadata.toolName === AngleTool.toolName) {
    return Number.isFinite(stats.angle) ? interpolate(gettext("Angle %(degrees)s degrees"), { degrees: stats.angle.toFixed(1) }) : "";
  }
  return Number.isFinite(stats.length) ? interpolate(gettext("Length %(length)s"), { length: withUnit(stats) }) : "";
}
