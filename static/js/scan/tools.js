// Drag tools: the selected one on the first button or one finger; pan and zoom always on the others.
// Cornerstone's magnifier does not work with CPU rendering: see magnifier.js. Marks are drawn and kept by marks/.
import { Enums, PanTool, ToolGroupManager, WindowLevelTool, ZoomTool, addTool, init } from "@cornerstonejs/tools";
import { Enums as Core, eventTarget, triggerEvent } from "@cornerstonejs/core";
import { KINDS } from "./marks/kinds.js";
import { KeyImages } from "./marks/key_images.js";
import { Marks } from "./marks/marks.js";

const GROUP = "hilum";
const { MouseBindings: Mouse, KeyboardBindings: Key } = Enums;
const TOOLS = { window: WindowLevelTool, pan: PanTool, zoom: ZoomTool };
const ALWAYS = {
  pan: [{ mouseButton: Mouse.Auxiliary }, { mouseButton: Mouse.Primary, modifierKey: Key.Shift }],
  zoom: [{ mouseButton: Mouse.Secondary }, { numTouchPoints: 2 }],
};
const CHOSEN = [{ mouseButton: Mouse.Primary }, { numTouchPoints: 1 }];

export class Tools {
  #group; #now = "window";
  onChange = () => {};

  /** `sources` are those of `Marks`; `panel` has the heatmap's settings; `root` is the page. */
  constructor(panes, figures, sources, panel, root) {
    init();
    Object.values(TOOLS).forEach((tool) => addTool(tool));
    this.panes = panes;
    this.marks = new Marks(panes, figures, sources, root);
    this.keyImages = new KeyImages(panes, sources, panel, root);
    this.#group = ToolGroupManager.createToolGroup(GROUP);
    for (const tool of Object.values(TOOLS)) this.#group.addTool(tool.toolName);
  }

  addPane(pane) {
    const { id: viewportId, renderingEngineId, element } = pane.viewport;
    triggerEvent(eventTarget, Core.Events.ELEMENT_ENABLED, { element, viewportId, renderingEngineId }); // again: the tools were not listening yet
    this.#group.addViewport(viewportId, renderingEngineId);
    this.choose(this.#now);
  }

  get now() { return this.#now; }

  choose(name) {
    for (const [other, tool] of Object.entries(TOOLS)) {
      this.#group.setToolPassive(tool.toolName, { removeAllBindings: true });
      const bindings = [...(ALWAYS[other] ?? []), ...(other === name ? CHOSEN : [])];
      if (bindings.length) this.#group.setToolActive(tool.toolName, { bindings });
    }
    this.#now = name;
    this.marks.choose(name);
    this.onChange(name);
  }

  get measures() { return this.#now in KINDS; }

  get placing() { return this.marks.placing; }
}
