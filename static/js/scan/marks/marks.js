// The marks of all panes: saved with the study on the server, version by version, and listed next to the image.
// What the server has not saved stays on the image and in this tab, with the reason, until it is saved or discarded.
import { gettext, interpolate } from "../../gettext.js";
import { requestJson } from "../../http.js";
import { KINDS, guidance, lines } from "./kinds.js";
import { MarkLayer } from "./layer.js";
import { MarkList } from "./list.js";

const content = ({ points, text }) => ({ points: points.map((point) => [...point]), text });

export class Marks {
  #list; #sources; #typing;
  announce = () => {};
  onAction = () => {}; // ({undo}) after each mark that was added, changed or deleted

  /** `sources`: {url, may, marks} of each pane's scan, in order; `root` holds the list and the dialog for texts. */
  constructor(panes, figures, sources, root) {
    this.#sources = sources;
    this.layers = panes.map((pane, at) => new MarkLayer(pane, figures[at], {
      finished: (mark) => this.#finished(at, mark),
      changed: (mark, before) => this.#changed(at, mark, before),
      selected: (mark) => this.#select(at, mark),
      guided: (kind, count) => this.announce(guidance(kind, count)),
    }));
    this.#list = new MarkList(root, {
      again: (at, mark) => this.#save(at, mark), discard: (at, mark) => this.#discard(at, mark), remove: (at, mark) => this.remove(at, mark),
      text: (at, mark) => this.#editText(at, mark), place: (at, mark) => this.place(at, mark), select: (at, mark) => this.layers[at].select(mark),
    });
    this.#typing = root.querySelector("[data-mark-text]");
    this.layers.forEach((layer, at) => { layer.marks = sources[at].marks.map((mark) => ({ ...mark, saved: content(mark) })); this.#restore(at); });
    this.#refresh();
  }

  choose(kind) {
    for (const layer of this.layers) {
      layer.cancel();
      layer.kind = kind in KINDS ? kind : null;
      layer.figure.classList.toggle("marking", kind in KINDS);
      layer.draw();
    }
    if (kind in KINDS) this.announce(guidance(kind, 0) || KINDS[kind].name());
  }

  get drafting() { return this.layers.find((layer) => layer.drafting); }

  get placing() { return this.layers.find((layer) => layer.placing); }

  /** By keyboard: a new mark in the middle of the pane, or the points of an existing one. */
  place(at, mark = null) {
    this.drafting?.cancel();
    this.layers[at].place(mark);
    this.layers[at].figure.focus();
    this.announce(gettext("Arrow keys move this point, Enter goes to the next"));
  }

  cancel() { this.drafting?.cancel(); }

  toggle() {
    const shown = !this.layers[0].shown;
    for (const layer of this.layers) { layer.shown = shown; layer.draw(); }
    this.announce(shown ? gettext("Marks shown") : gettext("Marks hidden"));
  }

  /** Deletes the selected mark, else the last one of the pane. */
  removeLast(at) {
    const layer = this.layers[at];
    const mark = layer.marks.includes(layer.selected) ? layer.selected : layer.marks.at(-1);
    if (mark) this.remove(at, mark);
  }

  // --- Changes -----------------------------------------------------------------------------------------

  #finished(at, mark) {
    this.layers[at].marks.push(mark);
    this.layers[at].select(mark);
    if (mark.kind === "arrow") return this.#editText(at, mark);
    this.#added(at, mark);
    return undefined;
  }

  #added(at, mark) {
    this.#report(mark, this.layers[at]);
    this.onAction({ undo: () => this.remove(at, mark, { recorded: false }) });
    return this.#save(at, mark);
  }

  #changed(at, mark, before) {
    this.#report(mark, this.layers[at]);
    this.onAction({ undo: () => { Object.assign(mark, before, { values: null }); return this.#save(at, mark); } });
    return this.#save(at, mark);
  }

  #report(mark, layer) {
    const values = lines(layer.values(mark)).join(", ");
    this.announce([KINDS[mark.kind].name(), values].filter(Boolean).join(" "));
  }

  #select(at, mark) {
    this.layers.forEach((layer, other) => { if (other !== at && layer.selected) { layer.selected = null; layer.draw(); } });
    this.#refresh();
    return mark;
  }

  #editText(at, mark) {
    const [dialog, field] = [this.#typing, this.#typing.querySelector("input")];
    field.value = mark.text;
    dialog.returnValue = "";
    dialog.showModal();
    dialog.addEventListener("close", () => {
      const text = field.value.trim().replace(/\s+/g, " ");
      const [isNew, before] = [!this.#known(mark), content(mark)];
      if (dialog.returnValue === "save" && text) {
        mark.text = text;
        if (isNew) this.#added(at, mark);
        else if (text !== before.text) this.#changed(at, mark, before);
      } else if (dialog.returnValue === "save" && !isNew && mark.kind !== "arrow") {
        mark.text = "";
        if (before.text) this.#changed(at, mark, before);
      } else if (isNew && mark.kind === "arrow") this.#drop(at, mark);
      this.layers[at].draw();
      this.layers[at].figure.focus();
    }, { once: true });
  }

  #known(mark) { return Boolean(mark.id || mark.saving || mark.problem || mark.local); }

  /** Deletes a mark, on the server too; what it refuses to delete stays. */
  async remove(at, mark, { recorded = true } = {}) {
    await mark.saving;
    if (mark.id) {
      try {
        await requestJson(`${this.#address(mark)}`, "DELETE");
      } catch (problem) {
        mark.problem = problem.message;
        this.#refresh();
        this.announce(problem.message);
        return;
      }
    }
    this.#drop(at, mark);
    this.announce(gettext("Mark deleted"));
    if (!recorded) return;
    this.onAction({ undo: () => { // as a new mark: the deletion stays on record
      const again = { kind: mark.kind, ...content(mark) };
      this.layers[at].marks.push(again);
      return this.#save(at, again);
    } });
  }

  #drop(at, mark) {
    const layer = this.layers[at];
    layer.marks = layer.marks.filter((one) => one !== mark);
    if (layer.selected === mark) layer.selected = null;
    layer.draw();
    this.#keep(at);
    this.#refresh();
  }

  // --- The server --------------------------------------------------------------------------------------

  #address({ id }) { return `/marks/${id}/`; }

  /** One request at a time for each mark: a version follows the one before it. */
  #save(at, mark) {
    if (!this.#sources[at].may) {
      mark.local = true;
      mark.problem = gettext("Not saved: you may not label at this site.");
      this.#refresh();
      this.layers[at].draw();
      return Promise.resolve();
    }
    mark.saving = Promise.resolve(mark.saving).then(() => this.#send(at, mark)).finally(() => { mark.saving = null; this.#refresh(); this.layers[at].draw(); });
    this.#refresh();
    return mark.saving;
  }

  async #send(at, mark) {
    const sent = content(mark);
    try {
      const saved = mark.id
        ? await requestJson(this.#address(mark), "PATCH", sent)
        : await requestJson(this.#sources[at].url, "POST", { kind: mark.kind, ...sent });
      const later = JSON.stringify(content(mark)) !== JSON.stringify(sent); // changed while it was sent
      Object.assign(mark, saved, later ? { ...content(mark), values: null } : {}, { saved: content(saved), problem: "" });
    } catch (problem) {
      mark.problem = problem instanceof TypeError ? gettext("The server cannot be reached.") : problem.message;
      this.announce(interpolate(gettext("Mark not saved: %(reason)s"), { reason: mark.problem }));
    }
    this.#keep(at);
  }

  async #discard(at, mark) {
    if (mark.id) {
      try {
        const { marks } = await requestJson(this.#sources[at].url, "GET");
        this.layers[at].marks = [
          ...marks.map((one) => ({ ...one, saved: content(one) })), ...this.layers[at].marks.filter((one) => one.problem && one !== mark && !one.id),
        ];
      } catch (problem) {
        mark.problem = problem.message;
        this.#refresh();
        return;
      }
    }
    this.#drop(at, mark);
  }

  // --- What is not saved, kept for this tab ------------------------------------------------------------

  #store(at) { return `marks-${this.layers[at].pane.image.id}`; }

  #keep(at) {
    const unsaved = this.layers[at].marks.filter((mark) => mark.problem && !mark.local).map(({ id, kind, problem, ...mark }) => ({ id, kind, problem, ...content(mark) }));
    if (unsaved.length) sessionStorage.setItem(this.#store(at), JSON.stringify(unsaved));
    else sessionStorage.removeItem(this.#store(at));
  }

  #restore(at) {
    let kept = [];
    try {
      kept = JSON.parse(sessionStorage.getItem(this.#store(at))) ?? [];
    } catch {
      return;
    }
    for (const one of kept.filter(({ kind }) => kind in KINDS)) {
      const current = this.layers[at].marks.find(({ id }) => id === one.id);
      if (current) Object.assign(current, one, { values: null });
      else this.layers[at].marks.push({ ...one, id: undefined });
    }
  }

  #refresh() { this.#list.show(this.layers.map(({ marks, selected }, at) => ({ marks, selected, may: this.#sources[at].may, label: this.#sources[at].label }))); }
}
