/** Server-sent events of a translation, and the whole that they make. Knows no page and no network. */

/** The events in a stream of bytes: `{name, data}` each. */
export async function* eventsOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    const blocks = (rest + read.value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const fields = Object.fromEntries(block.split("\n").map(field));
      if (fields.event) yield { name: fields.event, data: JSON.parse(fields.data) };
    }
  }
}

/** `event: done` is ["event", "done"]; a comment has no name. */
function field(line) {
  const at = line.indexOf(": ");
  return [line.slice(0, at), line.slice(at + 2)];
}

/** A translation of one text, put together sentence by sentence. */
export class Assembly {
  #hypotheses = [];
  #alignments = [];
  #aligned = false;
  #text = {};

  /** Adds a sentence; returns what it adds to the text. */
  add({ before, translation }) {
    const { hypotheses, alignment } = translation;
    while (this.#hypotheses.length < hypotheses.length) {
      // Sentences that had fewer hypotheses repeat their last one.
      this.#hypotheses.push({ ...(this.#hypotheses.at(-1) ?? { text: "", score: 0, tokens: 0 }) });
    }
    this.#hypotheses.forEach((whole, rank) => {
      const { text, score, tokens } = hypotheses[Math.min(rank, hypotheses.length - 1)];
      whole.text += before + text;
      whole.score += score;
      whole.tokens += tokens;
    });
    this.#aligned ||= Boolean(alignment);
    this.#alignments.push(...(alignment?.sentences ?? []));
    return before + hypotheses[0].text;
  }

  /** Ends the text; returns what that adds to it. */
  end({ after, ...text }) {
    if (!this.#hypotheses.length) this.#hypotheses.push({ text: "", score: 0, tokens: 0 });
    for (const whole of this.#hypotheses) whole.text += after;
    this.#text = text;
    return after;
  }

  /** As in an answer that is no stream. */
  get translation() {
    const hypotheses = this.#hypotheses;
    const alignment = this.#aligned ? { sentences: this.#alignments } : undefined;
    return { ...this.#text, ...hypotheses[0], hypotheses, alignment };
  }
}
