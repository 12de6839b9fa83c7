/** The calls of the service's API that the page makes. Knows nothing of the page. */

import { askForKey, keyHeaders } from "./key.js";
import { Assembly, eventsOf } from "./stream.js";

const JSON_TYPE = { "Content-Type": "application/json" };
const FILES = "v1/translate/file";

/** What went wrong, in words for people. */
export class ApiError extends Error {}

/** GET /v1/models: the models in order of preference. */
export async function listModels() {
  return (await ask("v1/models")).models;
}

/**
 * POST /v1/translate of one text, as a stream. `hear(done, part)` is told of each sentence that is
 * added, and of what is said of the next one so far. Returns the whole translation as the API would
 * without a stream. Throws ApiError, or AbortError when `signal` says that nobody waits.
 */
export async function translate(request, signal, hear) {
  const body = JSON.stringify({ ...request, stream: true });
  const response = await send("v1/translate", { method: "POST", headers: JSON_TYPE, body, signal });
  const assembly = new Assembly();
  for await (const { name, data } of hearing(response.body, signal)) {
    if (name === "error") throw new ApiError(data.error.message);
    if (name === "part") hear("", data.translation);
    if (name === "sentence") hear(assembly.add(data), "");
    if (name === "text") hear(assembly.end(data), "");
    if (name === "done") return assembly.translation;
  }
  throw new ApiError("The connection was lost.");
}

/** POST /v1/translate/file: the job that translates a file. */
export function sendFile(file, { options, ...fields }) {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) body.append(name, value);
  body.append("options", JSON.stringify(options));
  body.append("file", file);
  return ask(FILES, { method: "POST", body });
}

/** GET /v1/translate/file/ID: how far a job is. */
export const followFile = (id) => ask(`${FILES}/${id}`);

/** GET /v1/translate/file/ID/result: the translated file, as a Blob. */
export const fetchFile = async (id) => (await send(`${FILES}/${id}/result`)).blob();

/** DELETE /v1/translate/file/ID; that it is gone already is as good. */
export const deleteFile = (id) => send(`${FILES}/${id}`, { method: "DELETE" }).catch(() => null);

async function ask(path, options) {
  return (await send(path, options)).json();
}

/** A response that is a success. */
async function send(path, options = {}) {
  const headers = { ...options.headers, ...keyHeaders() };
  const response = await fetch(path, { ...options, headers }).catch((error) => {
    throw error.name === "AbortError" ? error : new ApiError("The service cannot be reached.");
  });
  if (response.ok) return response;
  const body = await response.json().catch(() => null);
  options.signal?.throwIfAborted();
  if (response.status === 401 && (await askForKey(body.error.message))) return send(path, options);
  throw new ApiError(body?.error?.message ?? `The service answered with status ${response.status}.`);
}

async function* hearing(body, signal) {
  try {
    yield* eventsOf(body);
  } catch {
    signal.throwIfAborted();
    throw new ApiError("The connection was lost.");
  }
}
