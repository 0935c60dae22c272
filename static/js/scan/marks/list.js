// The list of marks: what each measures, who saved it and when, and what keeps it from being saved.
import { gettext, interpolate } from "../../gettext.js";
import { showTimes } from "../../times.js";
import { KINDS, lines } from "./kinds.js";

export function button(text, label, run) {
  const made = Object.assign(document.createElement("button"), { type: "button", className: "plain", textContent: text, title: label });
  made.setAttribute("aria-label", label);
  made.addEventListener("click", run);
  return made;
}

export function paragraph(...parts) {
  const made = document.createElement("p");
  made.className = "fine";
  made.append(...parts);
  return made;
}

export function styled(made, ...classes) {
  made.classList.add(...classes);
  return made;
}

export function time(at) {
  const made = Object.assign(document.createElement("time"), { dateTime: at, textContent: at.slice(0, 16).replace("T", " ") });
  made.dataset.format = "time";
  showTimes({ querySelectorAll: () => [made] });
  return made;
}

export class MarkList {
  #section; #rows;

  /** `run`: {again, discard, remove, text, place, select}, each with the pane's number and the mark. */
  constructor(root, run) {
    this.#section = root.querySelector("[data-marks-list]");
    this.#rows = this.#section.querySelector("ol");
    this.run = run;
  }

  /** `panes`: [{marks, selected, may, label}], in the order of the panes. */
  show(panes) {
    const rows = panes.flatMap((pane, at) => pane.marks.map((mark) => this.#row(at, mark, pane)));
    this.#section.hidden = !rows.length;
    this.#rows.replaceChildren(...rows);
  }

  #row(at, mark, { selected, may, label }) {
    const row = document.createElement("li");
    row.classList.toggle("selected", mark === selected);
    row.classList.toggle("unsaved", Boolean(mark.problem));
    const name = KINDS[mark.kind].name();
    const title = button(name, interpolate(gettext("Show %(mark)s on the image"), { mark: name }), () => this.run.select(at, mark));
    title.classList.add("mark-name");
    const head = styled(paragraph(title), "line");
    if (label) head.append(label);
    row.append(head);
    const text = [mark.text, ...(mark.values ? lines(mark.values) : [])].filter(Boolean).join(", ");
    if (text) row.append(paragraph(text));
    if (mark.by) row.append(styled(paragraph(`${mark.by} · `, time(mark.at)), "quiet"));
    if (mark.saving) row.append(styled(paragraph(gettext("Saving…")), "quiet"));
    if (mark.problem) row.append(styled(paragraph(mark.problem), "error-text"));
    const actions = this.#actions(at, mark, name, may);
    if (actions.length) row.append(styled(paragraph(...actions), "line", "mark-actions"));
    return row;
  }

  #actions(at, mark, name, may) {
    const named = (text) => interpolate(text, { mark: name });
    const found = [];
    if (mark.problem && may) found.push(button(gettext("Save again"), named(gettext("Save %(mark)s again")), () => this.run.again(at, mark)));
    if (mark.problem) found.push(button(gettext("Discard"), named(gettext("Discard the unsaved %(mark)s")), () => this.run.discard(at, mark)));
    if (!may || mark.problem) return found;
    return [
      button(gettext("Move"), named(gettext("Move the points of %(mark)s by arrow keys")), () => this.run.place(at, mark)),
      button(gettext("Text"), named(gettext("Edit the text of %(mark)s")), () => this.run.text(at, mark)),
      button(gettext("Delete"), named(gettext("Delete %(mark)s")), () => this.run.remove(at, mark)),
    ];
  }
}
