/** The two calls of the service's API that the page makes. Knows nothing of the page. */

import { askForKey, keyHeaders } from "./key.js";

/** What went wrong, in words for people. */
export class ApiError extends Error {}

/** GET /v1/models: the models in order of preference. */
export async function listModels() {
  return (await ask("v1/models")).models;
}

/** POST /v1/translate. Throws ApiError, or AbortError when `signal` says that nobody waits. */
export function translate(request, signal) {
  const headers = { "Content-Type": "application/json" };
  return ask("v1/translate", { method: "POST", headers, body: JSON.stringify(request), signal });
}

async function ask(path, options = {}) {
  const headers = { ...options.headers, ...keyHeaders() };
  const response = await fetch(path, { ...options, headers }).catch((error) => {
    throw error.name === "AbortError" ? error : new ApiError("The service cannot be reached.");
  });
  const body = await response.json().catch(() => null);
  options.signal?.throwIfAborted();
  if (response.ok && body) return body;
  if (response.status === 401 && (await askForKey(body.error.message))) return ask(path, options);
  throw new ApiError(body?.error?.message ?? `The service answered with status ${response.status}.`);
}
