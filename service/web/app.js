/** The page: what is chosen and typed goes to the API, what comes back is shown. */

import { ApiError, listModels, translate } from "./api.js";
import { add, drawSentence, moveThroughWords } from "./attention.js";
import { takeFiles } from "./files.js";

const PAUSE = 500; // milliseconds without a key before a text is translated
const RETRY = 2000; // milliseconds until the models are asked for again
const LARGEST_BEAM = 8;
const LONGEST_TITLE = 60;

const element = (id) => document.getElementById(id);
const [form, source, target, model, strategy, beamSize, alternatives, text, translation, error, status] =
  ["form", "source", "target", "model", "strategy", "beam-size", "alternatives", "text",
    "translation", "error", "status"].map(element);

const numbers = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
const compact = new Intl.NumberFormat("en", { notation: "compact", compactDisplay: "long" });
const languages = new Intl.DisplayNames("en", { type: "language", fallback: "code" });

let models = [];
let running = new AbortController();
let pause = 0;
let shown = null; // the request whose answer is on the page

const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const unique = (values) => [...new Set(values)];
const number = (value) => numbers.format(value).replace("-", "\u2212");
const chosen = () => models.find(({ name }) => name === model.value);

/** Fills a select with [value, label] pairs and keeps what was chosen, if it is still there. */
function fill(select, pairs, preferred = select.value) {
  select.replaceChildren(...pairs.map(([value, label]) => new Option(label, value)));
  if (pairs.some(([value]) => String(value) === String(preferred))) select.value = preferred;
}

/** Languages, models and the swap button follow from each other, in this order. */
function offer(into = target.value) {
  const directions = models.flatMap((each) => each.directions);
  const named = (codes) => unique(codes).map((code) => [code, languages.of(code)]);
  const targets = (code) => directions.filter((each) => each.source === code).map((each) => each.target);
  fill(source, named(directions.map((each) => each.source)));
  fill(target, named(targets(source.value)), into);
  const serves = (each) => each.directions.some(
    (one) => one.source === source.value && one.target === target.value);
  fill(model, models.filter(serves).map(({ name, ready }) => [name, ready ? name : `${name} (stopped)`]));
  element("swap").disabled = !targets(target.value).includes(source.value);
  text.lang = source.value;
  const { architecture, parameters, precision } = chosen();
  element("about-model").textContent =
    `${architecture}, ${compact.format(parameters)} weights, ${precision}`;
}

/** The beam's options matter only for beam search; alternatives come out of the beam. */
function offerDecoding() {
  const range = (from, to) => Array.from({ length: to - from + 1 }, (_, at) => [from + at, from + at]);
  const before = Number(alternatives.value || 2);
  if (!beamSize.length) fill(beamSize, range(2, LARGEST_BEAM), chosen().default_beam_size);
  fill(alternatives, range(0, beamSize.value - 1), Math.min(before, beamSize.value - 1));
  const greedy = strategy.value === "greedy";
  beamSize.parentElement.hidden = alternatives.parentElement.hidden = greedy;
}

/** Until the service has loaded its models, it says why it cannot list them. */
async function start() {
  while (!models.length) {
    try {
      models = await listModels();
    } catch (problem) {
      fail(problem.message);
    }
    if (!models.length) await wait(RETRY);
  }
  offer();
  offerDecoding();
  run();
}

/** What is chosen, in the words of the API. */
function choices() {
  const decoding = strategy.value === "greedy" ? { strategy: "greedy" } :
    { strategy: "beam", beam_size: Number(beamSize.value) };
  return { source: source.value, target: target.value, model: model.value, decoding };
}

/** Translates what is there now; an answer that is still on its way is no longer wanted. */
async function run() {
  clearTimeout(pause);
  running.abort();
  running = new AbortController();
  const { signal } = running;
  if (!text.value.trim() || !models.length) return show(null);
  const request = { text: text.value, ...choices() };
  if (strategy.value === "beam") request.decoding.n_best = Number(alternatives.value) + 1;
  if (chosen().alignment) request.alignment = true;
  translation.setAttribute("aria-busy", "true");
  const started = performance.now();
  try {
    const answer = await translate(request, signal, grow(request));
    show(request, answer, (performance.now() - started) / 1000);
  } catch (problem) {
    if (signal.aborted) return;
    if (!(problem instanceof ApiError)) throw problem;
    show(null);
    fail(problem.message);
  }
}

/** Lets the translation grow as it is told, in the place of the one before. */
function grow(request) {
  let part = null; // what is said of the next sentence so far
  return (done, said) => {
    if (!part) {
      show(null);
      translation.setAttribute("aria-busy", "true");
      translation.lang = request.target;
      part = add(translation, "span", "", { class: "part" });
    }
    part.before(done);
    part.textContent = said;
  };
}

function fail(message) {
  error.textContent = message;
}

/** Shows an answer, or with `null` that there is none. */
function show(request, answer, seconds) {
  shown = request;
  translation.setAttribute("aria-busy", "false");
  fail("");
  translation.textContent = answer?.text ?? "";
  status.textContent = "";
  element("others").hidden = element("attention").hidden = true;
  if (!request) return;
  translation.lang = request.target;
  const [best, ...others] = answer.hypotheses;
  status.textContent = `Score ${number(best.score)}, ${pieces(best)}, ${number(seconds)} s`;
  showOthers(others, request.target);
  showAttention(request, answer);
}

const pieces = ({ tokens }) => `${tokens} ${tokens === 1 ? "piece" : "pieces"}`;

function showOthers(others, language) {
  element("others").hidden = !others.length;
  element("other-list").replaceChildren();
  for (const each of others) {
    const item = add(element("other-list"), "li");
    add(item, "span", each.text, { lang: language });
    item.append(" ");
    add(item, "span", `score ${number(each.score)}, ${pieces(each)}`, { class: "score" });
  }
}

function showAttention(request, answer) {
  const sentences = answer.alignment?.sentences ?? [];
  element("attention").hidden = false;
  element("map").hidden = !sentences.length;
  element("no-map").hidden = sentences.length > 0;
  element("no-map").textContent = chosen().alignment ? "There is no sentence to show." : whyNoMap();
  if (!sentences.length) return;
  const sides = {
    source: { text: request.text, language: request.source },
    target: { text: answer.text, language: request.target },
  };
  const points = [...request.text];
  const beginning = ({ start, end }) => points.slice(start, Math.min(end, start + LONGEST_TITLE)).join("");
  const title = ({ source: span }, at) => `${at + 1}: ${beginning(span)}`;
  const chooser = element("sentence");
  fill(chooser, sentences.map((sentence, at) => [at, title(sentence, at)]), 0);
  element("chooser").hidden = sentences.length === 1;
  chooser.onchange = () => drawSentence(sentences[chooser.value], sides);
  chooser.onchange();
}

function whyNoMap() {
  if (!chosen().architecture.includes("seq2seq")) return `${model.value} does not show its attention.`;
  return `${model.value} has no attention, so there is no map: its encoder hands over a single context ` +
    "vector, and the decoder makes the whole translation from it without looking at the text again.";
}

/** There and back again: a text that has been translated gives way to its translation. */
function swap() {
  const before = source.value;
  source.value = target.value;
  if (shown?.text === text.value) text.value = translation.textContent;
  offer(before);
  run();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  run();
});
text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run();
});
text.addEventListener("input", () => {
  clearTimeout(pause);
  pause = setTimeout(run, PAUSE);
});
for (const control of [source, target, model, strategy, beamSize, alternatives]) {
  control.addEventListener("change", () => {
    offer();
    offerDecoding();
    run();
  });
}
for (const line of ["source-line", "target-line"]) {
  element(line).addEventListener("keydown", moveThroughWords);
}
element("swap").addEventListener("click", swap);
takeFiles(() => {
  const { decoding, ...fields } = choices();
  return { ...fields, options: { decoding } };
});
start();
