// Key images: a view with its window, zoom and heatmap settings, marked on the server and opened again from the list.
import { gettext, interpolate } from "../../gettext.js";
import { requestJson } from "../../http.js";
import { button, paragraph, styled, time } from "./list.js";

export class KeyImages {
  #section; #sources;
  announce = () => {};

  /** `sources` as those of `Marks`, with {keyUrl, keyImages}; `panel` has the heatmap's settings. */
  constructor(panes, sources, panel, root) {
    Object.assign(this, { panes, panel });
    this.#sources = sources;
    this.#section = root.querySelector("[data-key-images]");
    this.#show();
  }

  /** Marks the present view of a pane. */
  async mark(at) {
    const pane = this.panes[at];
    try {
      const saved = await requestJson(this.#sources[at].keyUrl, "POST", { view: { ...pane.snapshot, area: pane.area, axes: pane.axes, ...this.panel.settings } });
      this.#sources[at].keyImages.push(saved);
      this.announce(gettext("Key image saved"));
    } catch (problem) {
      this.announce(interpolate(gettext("Key image not saved: %(reason)s"), { reason: problem.message }));
      this.#complain(problem.message);
      return;
    }
    this.#complain("");
    this.#show();
  }

  #open(at, { view, text }) {
    this.panes[at].snapshot = view;
    this.panel.apply(view);
    this.announce(interpolate(gettext("Key image: %(view)s"), { view: text }));
  }

  async #remove(at, one) {
    try {
      await requestJson(`/key-images/${one.id}/`, "DELETE");
    } catch (problem) {
      this.#complain(problem.message);
      return;
    }
    this.#sources[at].keyImages = this.#sources[at].keyImages.filter((other) => other !== one);
    this.announce(gettext("Key image removed"));
    this.#complain("");
    this.#show();
  }

  #complain(text) { this.#section.querySelector("[data-key-error]").textContent = text; this.#section.hidden &&= !text; }

  #show() {
    const rows = this.#sources.flatMap(({ keyImages, may }, at) => keyImages.map((one) => this.#row(at, one, may)));
    this.#section.querySelector("ol").replaceChildren(...rows);
    this.#section.hidden = !rows.length;
  }

  #row(at, one, may) {
    const row = document.createElement("li");
    const open = button(one.text, interpolate(gettext("Open the view %(view)s"), { view: one.text }), () => this.#open(at, one));
    row.append(paragraph(styled(open, "mark-name")), styled(paragraph(`${one.by} · `, time(one.at)), "quiet"));
    if (may) row.append(styled(paragraph(button(gettext("Remove"), interpolate(gettext("Remove the key image %(view)s"), { view: one.text }), () => this.#remove(at, one))), "mark-actions"));
    return row;
  }
}
