// One file on the upload page: its claim (patient, date), its progress, its result.
import { bytes } from "./files.js";
import { gettext, interpolate, ngettext } from "../gettext.js";

const uploading = (share) => interpolate(gettext("uploading %(share)s %"), { share: Math.floor(share * 100) });
const given = (claim) => Object.entries(claim).filter(([, value]) => value);
const template = document.querySelector("#upload-row");

export class Row {
  state = "staged"; // staged -> queued -> sending -> sent, or stopped
  result = null; // the server's row, or {code, message, remedy} of a file that was not uploaded
  offset = null; // days after the manifest's day 0, where it counts days
  known = {}; // view, sex and age by the manifest
  members = new Map(); // an archive's images: their rows by the id of the upload
  onRetry = () => {};
  onEdit = () => {};
  #typed = new Set();
  #manifest = {};
  #match = "";
  #folded = false;

  /** `archive`: a ZIP that is not uploaded yet; `inside`: the row of the archive that contains this image. */
  constructor({ file = null, name, size, dicom = false, archive = false, inside = null }) {
    Object.assign(this, { file, name, size, dicom, archive, inside, claim: { patient: "", date: "" } });
    this.node = template.content.firstElementChild.cloneNode(true);
    Object.assign(this.part("name"), { textContent: name, title: name });
    this.part("size").textContent = size ? bytes(size) : "";
    this.part("retry").addEventListener("click", () => this.onRetry(this));
    this.part("toggle-members").addEventListener("click", () => this.fold(!this.#folded));
    this.node.classList.toggle("member", Boolean(inside));
    for (const key of ["patient", "date"]) {
      const label = key === "date" ? gettext("Study date for %(name)s") : gettext("Patient ID for %(name)s");
      this.part(key).setAttribute("aria-label", interpolate(label, { name }));
      this.part(key).addEventListener("input", () => {
        this.claim[key] = this.part(key).value.trim();
        this.#typed.add(key);
        this.clearMatch();
        this.onEdit();
      });
    }
    this.part("select").setAttribute("aria-label", interpolate(gettext("Select %(name)s"), { name }));
    this.show();
  }

  part(name) { return this.node.querySelector(`[data-${name}]`); }

  get selected() { return this.part("select").checked; }
  get lacksPatient() { return !this.dicom && !this.claim.patient; }
  get needsReview() { return this.lacksPatient || this.#conflicts.length > 0; }
  get isArchive() { return this.archive || Boolean(this.result?.members); }
  get finished() { return this.state === "stopped" || Boolean(this.result?.finished); }

  /** Sets values that a person entered: a manifest never overrides them. */
  type(claim) {
    for (const [key, value] of given(claim)) {
      this.#typed.add(key);
      this.#setClaim(key, value);
    }
  }

  /** Sets values of a manifest; where a person entered others, they only count as a conflict. */
  assign(claim) {
    for (const [key, value] of given(claim)) {
      this.#manifest[key] = value;
      if (!this.#typed.has(key) || !this.claim[key]) this.#setClaim(key, value);
    }
    this.#showMatch();
  }

  /** Takes back what a manifest set, before it is read in another way. */
  forget() {
    for (const [key, value] of Object.entries(this.#manifest)) {
      if (this.claim[key] === value && !this.#typed.has(key)) this.#setClaim(key, "");
    }
    [this.#manifest, this.offset, this.known] = [{}, null, {}];
    this.#showMatch();
  }

  /** What is sent with the file. A date counted from day 0 is marked as made up. */
  get stated() {
    const counted = this.offset !== null && this.#manifest.date === this.claim.date;
    return { patient_id: this.claim.patient, date: this.claim.date, date_relative: counted ? "true" : "", ...this.known };
  }

  #setClaim(key, value) {
    this.claim[key] = this.part(key).value = value;
    this.clearMatch();
    this.show();
  }

  get #conflicts() {
    return Object.entries(this.#manifest).filter(([key, value]) => this.claim[key] !== value).map(([, value]) => value);
  }

  become(state) { this.state = state; this.show(); }

  /** `known`: {label, studies} of the patient with this ID at the site (webapp/pages/patients/display.py), or nothing. */
  showPatient(known) {
    const text = known && ngettext("adds to %(patient)s (%(number)s study)", "adds to %(patient)s (%(number)s studies)", known.studies);
    this.#match = known ? interpolate(text, { patient: known.label, number: known.studies }) : this.claim.patient && gettext("new patient");
    this.#showMatch();
  }

  clearMatch() {
    this.#match = "";
    this.#showMatch();
  }

  #showMatch() {
    const conflict = this.#conflicts.length && interpolate(gettext("manifest: %(values)s"), { values: this.#conflicts.join(", ") });
    this.part("match").textContent = [this.#match, conflict].filter(Boolean).join("; ");
  }

  progress(share) {
    this.part("bar").value = share;
    this.part("state").textContent = share < 1 ? uploading(share) : gettext("uploaded");
  }

  /** `problem`: {code, message, remedy}; `retry`: whether the file may be sent again. */
  stop(problem, { retry = false } = {}) {
    this.result = { ...problem, finished: true, ok: false };
    this.become("stopped");
    this.part("retry").hidden = !retry;
  }

  update(result) {
    this.result = result;
    this.become("sent");
  }

  /** Inserts the row of an image of this archive below it. */
  addMember(row, id) {
    (([...this.members.values()].at(-1)) ?? this).node.after(row.node);
    this.members.set(id, row);
    this.fold(this.#folded);
  }

  fold(folded) {
    this.#folded = folded;
    for (const row of this.members.values()) row.node.hidden = folded;
    const toggle = this.part("toggle-members");
    toggle.hidden = this.members.size === 0;
    toggle.textContent = folded ? interpolate(gettext("Show %(number)s images"), { number: this.members.size }) : gettext("Hide");
    toggle.setAttribute("aria-expanded", String(!folded));
    const label = folded ? gettext("Show the images of %(name)s") : gettext("Hide the images of %(name)s");
    toggle.setAttribute("aria-label", interpolate(label, { name: this.name }));
  }

  show() {
    const editable = this.state === "staged";
    this.node.dataset.state = this.state;
    for (const name of ["patient", "date", "match", "select"]) this.part(name).hidden = !editable;
    for (const name of ["patient-text", "date-text"]) this.part(name).hidden = editable;
    this.part("patient").placeholder = this.#defaultPatient;
    this.part("bar").hidden = this.state !== "sending";
    this.#showClaim();
    this.#showResult();
  }

  /** Where the patient comes from when no ID is entered. */
  get #defaultPatient() {
    if (this.isArchive) return gettext("from the files");
    if (this.inside || this.finished) return "";
    return this.dicom ? gettext("from the header") : gettext("new patient");
  }

  #showClaim() {
    const { patient, date } = this.result ?? {};
    const link = this.part("patient-link");
    link.hidden = !patient;
    if (patient) Object.assign(link, { href: patient.href, textContent: patient.label });
    this.part("patient-claim").textContent = patient ? "" : this.claim.patient || this.#defaultPatient;
    this.part("date-text").textContent = date || this.claim.date || "–";
  }

  #showResult() {
    const local = { staged: gettext("ready to upload"), queued: gettext("waiting to upload"), sending: uploading(0) }[this.state];
    const result = local ? {} : this.result ?? {};
    const dot = this.state === "stopped" ? "failed" : result.dot ?? (this.state === "sending" ? "busy" : "waiting");
    this.part("dot").className = `dot ${dot}`;
    this.part("state").textContent = local ?? result.text ?? result.message ?? result.detail ?? "";
    this.part("remedy").textContent = result.remedy ?? "";
    this.part("code").textContent = result.code ?? "";
    const link = this.part("link");
    link.hidden = !result.href;
    if (result.href) link.href = result.href;
    this.part("retry").hidden = !result.can_retry;
  }

  /** One line of the summary: tab-separated, for a message or a spreadsheet. */
  get summary() {
    const { patient, code, remedy } = this.result ?? {};
    return [this.name, patient?.label || this.claim.patient, this.part("state").textContent, code, remedy].filter(Boolean).join("\t");
  }
}
