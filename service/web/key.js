/** The caller's API key, if the service wants one: asked for, and kept until the tab is closed. */

const NAME = "seq2serve-key";
let asking = null;

/** Headers for every call. */
export function keyHeaders() {
  const key = sessionStorage.getItem(NAME);
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/** Asks for a key once, however many calls need one; whether there is one to try. */
export function askForKey(why) {
  asking ??= show(why).finally(() => { asking = null; });
  return asking;
}

function show(why) {
  const dialog = document.getElementById("key-dialog");
  const input = document.getElementById("key");
  document.getElementById("key-reason").textContent = why;
  input.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const given = dialog.returnValue === "use" && input.value.trim() !== "";
      if (given) sessionStorage.setItem(NAME, input.value.trim());
      input.value = "";
      resolve(given);
    }, { once: true });
  });
}
