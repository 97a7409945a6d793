// Keyboard shortcuts: `g` and a letter lead to a page, `/` to the search, `?` shows all of them.

const WAIT_MS = 1500;

export function listenToKeys() {
  let goes = 0;
  const help = document.querySelector("[data-help]");
  if (help) {
    help.hidden = false;
    help.addEventListener("click", showKeys);
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    if (Date.now() < goes) {
      goes = 0;
      const link = document.querySelector(`nav a[data-key="${CSS.escape(event.key)}"]`);
      if (link) link.click();
    } else if (event.key === "g") {
      goes = Date.now() + WAIT_MS;
    } else if (event.key === "r") {
      document.dispatchEvent(new Event("refresh"));
    } else if (event.key === "/") {
      const search = document.querySelector("input[type=search]");
      if (!search) return;
      event.preventDefault();
      search.focus();
    } else if (event.key === "?") {
      showKeys();
    }
  });
}

function isTyping(target) {
  return target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]") !== null;
}

function showKeys() {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-labelledby", "keys");
  const heading = Object.assign(document.createElement("h1"), { id: "keys", textContent: "Keyboard" });
  const list = document.createElement("dl");
  list.className = "keys";
  const pages = [...document.querySelectorAll("nav a[data-key]")]
    .map((link) => [`g ${link.dataset.key}`, link.textContent]);
  const rest = [["/", "Search"], ["r", "Refresh now"], ["?", "This list"], ["Esc", "Close"]];
  for (const [keys, words] of [...pages, ...rest]) {
    const term = document.createElement("dt");
    term.append(...keys.split(" ").map((key) =>
      Object.assign(document.createElement("kbd"), { textContent: key })));
    list.append(term, Object.assign(document.createElement("dd"), { textContent: words }));
  }
  const close = Object.assign(document.createElement("button"), { textContent: "Close" });
  close.addEventListener("click", () => dialog.close());
  dialog.append(heading, list, close);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
