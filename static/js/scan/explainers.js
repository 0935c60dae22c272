// Heatmaps by other explanation methods: requested when selected, computed by the worker, drawn when done.
import { poll, requestJson } from "../http.js";

export const OWN = "gradcam"; // the model's own heatmap, which is part of the page
const DEBOUNCE = 500; // stepping through the list by arrow keys requests nothing on the way

export class Explainers {
  #status; #results = new Map(); #stop = () => {}; #timer = 0;

  /** `onMaps` receives an array of {text, cam} or null, one a pane, once all are done. */
  constructor(onMaps) {
    this.onMaps = onMaps;
  }

  attach(status) {
    this.#status = status;
  }

  /** `addresses`: of the panes' analyses, "" where there is none, with `-` in place of the method. */
  choose(method, addresses) {
    this.#stop();
    clearTimeout(this.#timer);
    this.#show();
    if (method === OWN) return;
    const urls = addresses.map((address) => address && address.replace("/-/", `/${encodeURIComponent(method)}/`));
    if (this.#done(urls)) this.#deliver(urls);
    else this.#timer = setTimeout(() => this.#request(urls), DEBOUNCE);
  }

  #done(urls) { return urls.every((url) => !url || this.#results.get(url)?.status === "done"); }

  #deliver(urls) {
    this.onMaps(urls.map((url) => (url ? this.#results.get(url) : null)));
    this.#show([this.#results.get(urls[0])?.text]);
  }

  async #request(urls) {
    let stopped = false;
    this.#stop = () => { stopped = true; };
    this.#show(["…"]);
    const look = async (method) => {
      for (const url of urls.filter((one) => one && this.#results.get(one)?.status !== "done")) {
        const result = await requestJson(url, method);
        if (stopped) return false;
        this.#results.set(url, result);
      }
      return this.#report(urls);
    };
    try {
      if (!(await look("POST")) || stopped) return;
    } catch (error) {
      if (!stopped) this.#show([error.message], () => this.#request(urls));
      return;
    }
    const end = poll(() => !stopped && look("GET"), { first: 300, slowest: 1500 });
    this.#stop = () => { stopped = true; end(); };
  }

  /** Shows the state of the requests; returns whether there is something to wait for. */
  #report(urls) {
    const results = urls.filter(Boolean).map((url) => this.#results.get(url));
    const failed = results.find((result) => result.status === "failed");
    if (failed) {
      this.#show([failed.text, failed.remedy, failed.code], () => this.#request(urls));
      return false;
    }
    if (this.#done(urls)) {
      this.#deliver(urls);
      return false;
    }
    this.#show([results.find((result) => result.status !== "done").text]);
    return true;
  }

  #show(lines = [], retry = null) {
    if (!this.#status) return;
    this.#status.replaceChildren(...lines.filter(Boolean).map((line) => {
      const paragraph = document.createElement("p");
      paragraph.className = "quiet fine";
      paragraph.textContent = line;
      return paragraph;
    }));
    if (!retry) return;
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: this.#status.dataset.retryText });
    button.addEventListener("click", retry);
    this.#status.append(button);
  }
}
