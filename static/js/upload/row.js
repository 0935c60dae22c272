// One file on the upload page: what it is, whose it will be, how far it is, what became of it.
import { bytes } from "./files.js";
import { gettext, interpolate, ngettext } from "../gettext.js";

const uploading = (share) => interpolate(gettext("uploading %(share)s %"), { share: Math.floor(share * 100) });
const template = document.querySelector("#upload-row");

export class Row {
  state = "staged"; // staged -> queued -> sending -> sent, or stopped
  answer = null;
  offset = null; // days after the manifest's day 0, where it counts days
  #typed = new Set();
  #said = {};
  #known = "";

  members = new Map(); // an archive's images: their rows by the id of the upload
  #folded = false;

  /** `archive`: a ZIP that is still to be sent; `inside`: the row of the archive that this image came in. */
  constructor({ file = null, name, size, dicom = false, archive = false, inside = null }) {
    Object.assign(this, { file, name, size, dicom, archive, inside, claim: { patient: "", date: "" } });
    this.node = template.content.firstElementChild.cloneNode(true);
    this.part("name").textContent = name;
    this.part("name").title = name;
    this.part("size").textContent = size ? bytes(size) : "";
    this.part("retry").addEventListener("click", () => this.onRetry(this));
    this.part("fold").addEventListener("click", () => this.fold(!this.#folded));
    this.node.classList.toggle("member", Boolean(inside));
    for (const key of ["patient", "date"]) {
      const words = key === "date" ? gettext("Study date for %(name)s") : gettext("Patient ID for %(name)s");
      this.part(key).setAttribute("aria-label", interpolate(words, { name }));
      this.part(key).addEventListener("input", () => {
        this.claim[key] = this.part(key).value.trim();
        this.#typed.add(key);
        this.forgetJoins();
        this.onEdit();
      });
    }
    this.part("pick").setAttribute("aria-label", interpolate(gettext("Select %(name)s"), { name }));
    this.show();
  }

  onRetry = () => {};
  onEdit = () => {};

  part(name) { return this.node.querySelector(`[data-${name}]`); }

  get picked() { return this.part("pick").checked; }
  get asksForPatient() { return !this.dicom && !this.claim.patient; }
  get asks() { return this.asksForPatient || this.#doubts.length > 0; }
  get isArchive() { return this.archive || Boolean(this.answer?.members); }
  get finished() { return this.state === "stopped" || Boolean(this.answer?.finished); }

  /** What a person says: it holds, whatever a manifest says before or after. */
  type(claim) {
    for (const [key, value] of Object.entries(claim).filter(([, value]) => value)) {
      this.#typed.add(key);
      this.#claim(key, value);
    }
  }

  /** What a manifest says: it fills in, and where a person has said otherwise it only raises a doubt. */
  assign(claim) {
    for (const [key, value] of Object.entries(claim).filter(([, value]) => value)) {
      this.#said[key] = value;
      if (!this.#typed.has(key) || !this.claim[key]) this.#claim(key, value);
    }
    this.#showJoins();
  }

  #claim(key, value) {
    this.claim[key] = this.part(key).value = value;
    this.forgetJoins();
    this.show();
  }

  get #doubts() {
    return Object.entries(this.#said).filter(([key, value]) => this.claim[key] !== value).map(([, value]) => value);
  }

  become(state) { this.state = state; this.show(); }

  /** `known`: whom the site's patients with this identifier make it join (see pages/people.py), or nothing. */
  joins(known) {
    const words = known && ngettext("adds to %(patient)s (%(number)s study)", "adds to %(patient)s (%(number)s studies)", known.studies);
    this.#known = known ? interpolate(words, { patient: known.label, number: known.studies }) : this.claim.patient && gettext("new patient");
    this.#showJoins();
  }

  forgetJoins() {
    this.#known = "";
    this.#showJoins();
  }

  #showJoins() {
    const doubt = this.#doubts.length && interpolate(gettext("manifest: %(values)s"), { values: this.#doubts.join(", ") });
    this.part("joins").textContent = [this.#known, doubt].filter(Boolean).join("; ");
  }

  progress(share) {
    this.part("bar").value = share;
    this.part("state").textContent = share < 1 ? uploading(share) : gettext("uploaded");
  }

  /** `problem`: {code, message, remedy}; `again`: whether a button may try once more. */
  stop(problem, { again = false } = {}) {
    this.answer = { ...problem, finished: true, ok: false };
    this.state = "stopped";
    this.show();
    this.part("retry").hidden = !again;
  }

  take(answer) {
    this.answer = answer;
    this.state = "sent";
    this.show();
  }

  /** Puts the row of an image of this archive below it. */
  adopt(row, id) {
    (([...this.members.values()].at(-1)) ?? this).node.after(row.node);
    this.members.set(id, row);
    row.node.hidden = this.#folded;
    this.fold(this.#folded);
  }

  fold(folded) {
    this.#folded = folded;
    for (const row of this.members.values()) row.node.hidden = folded;
    const fold = this.part("fold");
    fold.hidden = this.members.size === 0;
    fold.textContent = folded ? interpolate(gettext("Show %(number)s images"), { number: this.members.size }) : gettext("Hide");
    fold.setAttribute("aria-expanded", String(!folded));
    const words = folded ? gettext("Show the images of %(name)s") : gettext("Hide the images of %(name)s");
    fold.setAttribute("aria-label", interpolate(words, { name: this.name }));
  }

  show() {
    const editable = this.state === "staged";
    this.node.dataset.state = this.state;
    for (const key of ["patient", "date", "joins"]) this.part(key).hidden = !editable;
    this.part("pick").hidden = !editable;
    this.part("patient-text").hidden = this.part("date-text").hidden = editable;
    this.part("patient").placeholder = this.#nobody;
    this.part("bar").hidden = this.state !== "sending";
    this.part("retry").hidden = true;
    this.#showWhose();
    this.#showOutcome();
  }

  /** Whose it is when nobody has said so. */
  get #nobody() {
    if (this.isArchive) return gettext("from the files");
    if (this.inside || this.finished) return "";
    return this.dicom ? gettext("from the header") : gettext("new patient");
  }

  #showWhose() {
    const { patient, claim } = { patient: this.answer?.patient, claim: this.claim };
    const link = this.part("patient-link");
    link.hidden = !patient;
    if (patient) Object.assign(link, { href: patient.href, textContent: patient.label });
    this.part("patient-claim").textContent = patient ? "" : claim.patient || this.#nobody;
    this.part("date-text").textContent = this.answer?.date || claim.date || "–";
  }

  #showOutcome() {
    const plain = { staged: gettext("ready to upload"), queued: gettext("waiting to upload"), sending: uploading(0) }[this.state];
    const answer = plain ? null : this.answer;
    const dot = this.part("dot");
    dot.className = `dot ${answer?.dot ?? (this.state === "sending" ? "busy" : "waiting")}`;
    if (this.state === "stopped") dot.className = "dot failed";
    this.part("state").textContent = plain ?? answer?.text ?? answer?.message ?? answer?.detail ?? "";
    this.part("remedy").textContent = answer?.remedy ?? "";
    this.part("code").textContent = answer?.code ?? "";
    const link = this.part("link");
    link.hidden = !answer?.href;
    if (answer?.href) link.href = answer.href;
    if (answer?.again) this.part("retry").hidden = false;
  }

  /** One line of the summary: tab-separated, ready for a message or a sheet. */
  get summary() {
    const answer = this.answer ?? {};
    const whose = answer.patient?.label || this.claim.patient || "";
    return [this.name, whose, this.part("state").textContent, answer.code, answer.remedy].filter(Boolean).join("\t");
  }
}
