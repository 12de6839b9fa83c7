/**
 * One sentence's alignment: two lines of words, the heat map, and what lights up together.
 * Spans count Unicode code points, as the API does, and not JavaScript's UTF-16 units.
 */

const element = (id) => document.getElementById(id);
const percent = (weight) => Math.round(weight * 100);
const SPACE = "␣";
const STRONG = 0.65; // style.css says why

/** Adds an element with a text and attributes to a parent. */
export function add(parent, tag, text = "", attributes = {}) {
  const made = parent.appendChild(document.createElement(tag));
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

const overlap = (a, b) => a.start < b.end && b.start < a.end;
const same = (a, b) => a.start === b.start && a.end === b.end;

/** The spans of one side, each once, in the order of the text. */
function distinct(spans) {
  const sorted = [...spans].sort((a, b) => a.start - b.start || a.end - b.end);
  return sorted.filter((span, at) => at === 0 || span.start >= sorted[at - 1].end);
}

/** Draws a sentence of `alignment` for `sides.source` and `sides.target`: each `{text, language}`. */
export function drawSentence(sentence, sides) {
  const parts = []; // every element that can light up, with its place on one side or on both
  const light = (lit) => {
    for (const part of parts) {
      const touched = ["source", "target"].every(
        (side) => !part[side] || lit[side].some((span) => overlap(span, part[side])));
      part.element.classList.toggle("lit", touched);
    }
  };
  const nothing = { source: [], target: [] };
  const lights = (node, lit) => {
    const settle = () => light(document.activeElement?.lit ?? nothing);
    node.lit = lit;
    node.addEventListener("pointerenter", () => light(lit));
    node.addEventListener("pointerleave", settle);
    node.addEventListener("focus", () => light(lit));
    node.addEventListener("blur", () => light(nothing));
  };
  drawWords(sentence, "source", "target", sides, parts, lights);
  drawWords(sentence, "target", "source", sides, parts, lights);
  drawHeat(sentence, sides, parts, lights);
}

function drawWords(sentence, side, other, sides, parts, lights) {
  const line = element(`${side}-line`);
  const points = [...sides[side].text];
  const others = [...sides[other].text];
  line.replaceChildren();
  line.lang = sides[side].language;
  let at = sentence[side].start;
  for (const span of distinct(sentence.words.map((pair) => pair[side]))) {
    line.append(points.slice(at, span.start).join(""));
    const pairs = sentence.words.filter((pair) => same(pair[side], span));
    const partners = pairs.map((pair) => pair[other]);
    const words = partners.map((partner) => others.slice(partner.start, partner.end).join(""));
    const word = add(line, "button", points.slice(span.start, span.end).join(""), { type: "button" });
    const meaning = add(word, "span", ` (${words.join(", ")})`, { class: "unseen" });
    meaning.lang = sides[other].language;
    word.tabIndex = line.querySelector("button") === word ? 0 : -1;
    word.addEventListener("click", () => word.focus()); // a tap does not focus everywhere
    parts.push({ element: word, [side]: span });
    lights(word, { [side]: [span], [other]: partners });
    at = span.end;
  }
  line.append(points.slice(at, sentence[side].end).join(""));
}

/** Arrow keys move through the words of a line, which is one stop of the Tab key. */
export function moveThroughWords(event) {
  const words = [...event.currentTarget.querySelectorAll("button")];
  const at = words.indexOf(document.activeElement);
  const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: words.length - 1 }[event.key];
  if (at < 0 || next === undefined) return;
  event.preventDefault();
  const to = Math.min(Math.max(next, 0), words.length - 1);
  words[at].tabIndex = -1;
  words[to].tabIndex = 0;
  words[to].focus();
}

function drawHeat({ source_pieces: columns, target_pieces: rows, attention }, sides, parts, lights) {
  const table = element("heat");
  table.replaceChildren();
  const head = add(add(table, "thead"), "tr");
  add(head, "td");
  for (const piece of columns) {
    const header = drawPiece(head, piece, "col", sides.source.language);
    parts.push({ element: header, source: piece });
  }
  const body = add(table, "tbody");
  rows.forEach((said, y) => {
    const row = add(body, "tr");
    parts.push({ element: drawPiece(row, said, "row", sides.target.language), target: said });
    columns.forEach((read, x) => {
      const weight = attention[y][x];
      const cell = add(row, "td", "", { class: weight > STRONG ? "cell strong" : "cell" });
      add(cell, "span", String(percent(weight)), percent(weight) ? {} : { class: "unseen" });
      cell.style.setProperty("--weight", weight);
      cell.title = `${name(said)} looks at ${name(read)}: ${percent(weight)} %`;
      parts.push({ element: cell, source: read, target: said });
      lights(cell, { source: [read], target: [said] });
    });
  });
}

/** SentencePiece writes a space as ▁; before a word it says nothing that the map does not show. */
const name = (piece) => piece.text.replaceAll("▁", " ").trim() || SPACE;

function drawPiece(row, piece, scope, language) {
  const header = add(row, "th", "", { scope });
  add(header, "span", name(piece));
  if (name(piece) === SPACE) header.ariaLabel = "space";
  if (/^(<.+>|␣)$/.test(header.textContent)) header.className = "control";
  else header.lang = language;
  return header;
}
