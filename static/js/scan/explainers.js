// Heatmaps by other explainers: asked for when they are chosen, made by the worker, drawn when they are there.
import { askJson, poll } from "../http.js";

export const OWN = "gradcam"; // the model's own map, which lies in the page
const PATIENCE = 500; // who walks through the list by arrow keys asks for nothing on the way

export class Explainers {
  #said; #answers = new Map(); #stop = () => {}; #timer = 0;

  /** `said` is where words go; `onMaps` is told an array of {words, cam} or nulls, one a pane, once they are there. */
  constructor(onMaps) {
    this.onMaps = onMaps;
  }

  attach(said) {
    this.#said = said;
  }

  /** `addresses` are those of the panes' analyses, "" where there is none, with `-` in the method's place. */
  choose(method, addresses) {
    this.#stop();
    clearTimeout(this.#timer);
    this.#tell();
    if (method === OWN) return;
    const urls = addresses.map((address) => address && address.replace("/-/", `/${encodeURIComponent(method)}/`));
    if (this.#known(urls)) this.#deliver(urls);
    else this.#timer = setTimeout(() => this.#ask(urls), PATIENCE);
  }

  #known(urls) { return urls.every((url) => !url || this.#answers.get(url)?.status === "done"); }

  #deliver(urls) {
    this.onMaps(urls.map((url) => (url ? this.#answers.get(url) : null)));
    this.#tell([this.#answers.get(urls[0])?.words]);
  }

  async #ask(urls) {
    let stopped = false;
    this.#stop = () => { stopped = true; };
    this.#tell(["…"]);
    const look = async (method) => {
      for (const url of urls.filter((one) => one && this.#answers.get(one)?.status !== "done")) {
        const answer = await askJson(url, method);
        if (stopped) return false;
        this.#answers.set(url, answer);
      }
      return this.#report(urls);
    };
    try {
      if (!(await look("POST")) || stopped) return;
    } catch (error) {
      if (!stopped) this.#tell([error.message], () => this.#ask(urls));
      return;
    }
    const end = poll(() => !stopped && look("GET"), { first: 300, slowest: 1500 });
    this.#stop = () => { stopped = true; end(); };
  }

  /** Says how they stand; answers whether there is something to wait for. */
  #report(urls) {
    const answers = urls.filter(Boolean).map((url) => this.#answers.get(url));
    const failed = answers.find((answer) => answer.status === "failed");
    if (failed) {
      this.#tell([failed.words, failed.remedy, failed.code], () => this.#ask(urls));
      return false;
    }
    if (this.#known(urls)) {
      this.#deliver(urls);
      return false;
    }
    this.#tell([answers.find((answer) => answer.status !== "done").words]);
    return true;
  }

  #tell(words = [], again = null) {
    if (!this.#said) return;
    this.#said.replaceChildren(...words.filter(Boolean).map((text) => {
      const line = document.createElement("p");
      line.className = "quiet fine";
      line.textContent = text;
      return line;
    }));
    if (!again) return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = this.#said.dataset.again;
    button.addEventListener("click", again);
    this.#said.append(button);
  }
}
