// DeepL's own client for Node, unmodified, against the running service.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import * as deepl from "deepl-node";

const client = new deepl.DeepLClient("any-key", { serverUrl: process.env.URL, maxRetries: 0 });
const hangul = /[가-힣]/;

test("a text and a list are translated", async () => {
  const one = await client.translateText("Good morning.", "en", "ko");
  assert.match(one.text, hangul);
  assert.equal(one.detectedSourceLang, "en");
  assert.equal(one.billedCharacters, 13);
  const many = await client.translateText(["Good morning.", "저는 학생이에요."], null, "en-US");
  assert.deepEqual(many.map((each) => each.detectedSourceLang), ["en", "ko"]);
});

test("options are sent as a form", async () => {
  const result = await client.translateText("Good morning.", "en", "ko", {
    splitSentences: "nonewlines",
    preserveFormatting: true,
    formality: "prefer_more",
    ignoreTags: ["x", "keep"],
    tagHandling: "xml",
    outlineDetection: false,
  });
  assert.ok(result.text);
});

test("languages and usage are told", async () => {
  const targets = await client.getTargetLanguages();
  assert.ok(targets.some((each) => each.code === "en-US"));
  assert.ok((await client.getSourceLanguages()).some((each) => each.code === "ko"));
  assert.ok((await client.getUsage()).character.count > 0);
});

test("glossaries live and die", async () => {
  const entries = new deepl.GlossaryEntries({ entries: { cat: "고양이" } });
  const made = await client.createGlossary("Places", "en", "ko", entries);
  assert.equal(made.entryCount, 1);
  assert.ok((await client.listGlossaries()).some((each) => each.glossaryId === made.glossaryId));
  const found = await client.getGlossaryEntries(made);
  assert.deepEqual(found.entries(), entries.entries());
  assert.ok((await client.translateText("A cat.", "en", "ko", { glossary: made })).text);
  await client.deleteGlossary(made);
  await assert.rejects(client.getGlossary(made.glossaryId), deepl.GlossaryNotFoundError);
});

test("glossaries of several directions live and die", async () => {
  const entries = new deepl.GlossaryEntries({ entries: { cat: "고양이" } });
  const made = await client.createMultilingualGlossary("Both", [
    { sourceLangCode: "en", targetLangCode: "ko", entries },
  ]);
  assert.equal(made.dictionaries.length, 1);
  const found = await client.getMultilingualGlossaryDictionaryEntries(made.glossaryId, "en", "ko");
  assert.deepEqual(found.entries.entries(), entries.entries());
  await client.deleteMultilingualGlossary(made);
});

test("a document is translated", async () => {
  const folder = mkdtempSync(join(tmpdir(), "seq2serve-"));
  writeFileSync(join(folder, "in.txt"), "Good morning.\n");
  const status = await client.translateDocument(
    join(folder, "in.txt"), join(folder, "out.txt"), "en", "ko",
  );
  assert.ok(status.done());
  assert.match(readFileSync(join(folder, "out.txt"), "utf-8"), hangul);
});

test("faults are told in words", async () => {
  await assert.rejects(client.translateText("Hi.", "en", "xx"), /target_lang' not supported/);
});
