// The manifests of the last drop: how they were read and their first rows, before anything is uploaded.
import { readManifest } from "./manifest.js";

export class ManifestPreview {
  lines = [];
  invalid = []; // messages of files that are no manifest
  unclear = false; // a person has to state which comes first, day or month
  #tables = [];
  #names = [];

  /** `onRead` is called after each reading; `node` is the panel of the page. */
  constructor(node, url, onRead) {
    Object.assign(this, { node, url, onRead });
    for (const name of ["date-order", "encoding"]) this.#field(name).addEventListener("change", () => this.#read());
  }

  #field(name) { return this.node.querySelector(`[data-${name}]`); }

  /** `tables`: [{file, path}] as dropped; `names`: paths of the images dropped with them. */
  async show(tables, names) {
    [this.#tables, this.#names] = [tables, names];
    for (const name of ["date-order", "encoding"]) this.#field(name).value = "";
    await this.#read();
  }

  close() {
    this.node.hidden = true;
    [this.#tables, this.lines, this.invalid, this.unclear] = [[], [], [], false];
  }

  async #read() {
    const stated = { names: this.#names, dateOrder: this.#field("date-order").value, encoding: this.#field("encoding").value };
    const tables = this.#tables;
    const read = await Promise.allSettled(tables.map((table) => readManifest(this.url, table, stated)));
    if (tables !== this.#tables) return;
    const found = read.filter(({ status }) => status === "fulfilled").map(({ value }) => value);
    this.lines = found.flatMap(({ lines }) => lines);
    this.invalid = read.filter(({ status }) => status === "rejected").map(({ reason }) => reason.message.trim());
    this.unclear = found.some(({ unclear }) => unclear);
    const page = new DOMParser().parseFromString(found.map(({ preview }) => preview).join(""), "text/html");
    this.#field("previews").replaceChildren(...page.body.childNodes);
    this.node.hidden = !found.length;
    this.onRead();
  }
}
