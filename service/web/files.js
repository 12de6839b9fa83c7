/** Files: dropped or chosen, followed while they are translated, and saved. */

import { ApiError, deleteFile, fetchFile, followFile, sendFile } from "./api.js";
import { add } from "./attention.js";

const PAUSE = 500; // milliseconds between two looks at a job
const element = (id) => document.getElementById(id);
const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Takes files from now on; `choices()` says how to translate them at the moment. */
export function takeFiles(choices) {
  const [zone, input] = [element("files"), element("file")];
  element("choose").addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    for (const file of input.files) new Row(file).run(choices());
    input.value = ""; // the same file may be chosen again
  });
  // The whole page: a file that misses would take the place of the page.
  document.addEventListener("dragover", (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    zone.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) zone.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    zone.classList.remove("over");
    for (const file of event.dataTransfer.files) new Row(file).run(choices());
  });
}

/** A file in the list. */
class Row {
  #removed = false;

  constructor(file) {
    this.file = file;
    this.item = add(element("file-list"), "li");
    add(this.item, "span", file.name, { class: "name" });
    this.bar = add(this.item, "progress", "", { max: 1, "aria-label": `Progress of ${file.name}` });
    this.status = add(this.item, "span", "sending", { class: "quiet", role: "status" });
    this.save = this.#button("Download", () => this.#download());
    this.save.hidden = true;
    this.#button("Remove", () => this.#remove());
  }

  async run(choices) {
    try {
      this.job = await sendFile(this.file, choices);
      while (!this.#removed && ["queued", "translating"].includes(this.job.state)) {
        this.#show();
        await wait(PAUSE);
        if (!this.#removed) this.job = await followFile(this.job.id);
      }
      if (this.#removed) return void deleteFile(this.job.id);
      if (this.job.error) throw new ApiError(this.job.error.message);
      this.#finish();
    } catch (problem) {
      this.#fail(problem);
    }
  }

  #show() {
    const { state, characters, characters_done: done } = this.job;
    if (state === "translating") this.bar.value = characters ? done / characters : 1;
    const percent = Math.floor(100 * this.bar.value);
    this.status.textContent = state === "queued" ? "waiting" : `${percent} %`;
  }

  #finish() {
    this.bar.hidden = true;
    this.status.textContent = "translated";
    this.save.hidden = false;
    this.save.setAttribute("aria-label", `Download ${this.job.name}`);
  }

  #fail(problem) {
    if (!(problem instanceof ApiError)) throw problem;
    this.bar.hidden = true;
    this.status.textContent = problem.message;
    this.status.className = "problem";
  }

  async #download() {
    try {
      const url = URL.createObjectURL(await fetchFile(this.job.id));
      const link = Object.assign(document.createElement("a"), { href: url, download: this.job.name });
      link.click();
      setTimeout(() => URL.revokeObjectURL(url), 0);
    } catch (problem) {
      this.save.hidden = true;
      this.#fail(problem);
    }
  }

  #remove() {
    this.#removed = true;
    this.item.remove();
    element("choose").focus();
    if (this.job) deleteFile(this.job.id);
  }

  #button(name, action) {
    const button = add(this.item, "button", name, { type: "button", "aria-label": `${name} ${this.file.name}` });
    button.addEventListener("click", action);
    return button;
  }
}
