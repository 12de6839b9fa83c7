// The package `translate`, unmodified, which speaks to LibreTranslate and to DeepL.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Translate } from "translate";

const hangul = /[가-힣]/;

test("LibreTranslate's API", async () => {
  const translate = Translate({ engine: "libre", url: `${process.env.URL}/translate`, key: "any" });
  assert.match(await translate("Good morning.", { from: "en", to: "ko" }), hangul);
});

test("DeepL's API", async (context) => {
  // Its address is fixed, as it is for those who put a name server or a proxy in between.
  const fetch = globalThis.fetch;
  context.mock.method(globalThis, "fetch", (address, ...rest) =>
    fetch(String(address).replace(/^https:\/\/[^/]+/, process.env.URL), ...rest),
  );
  const translate = Translate({ engine: "deepl", key: "any" });
  assert.match(await translate("Good morning.", { from: "en", to: "ko" }), hangul);
});
