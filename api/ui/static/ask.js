// Opens the question of a link with `data-ask` as a dialog, instead of leading to it.

export function keepAskingInDialogs() {
  let asking = false;
  document.addEventListener("click", async (event) => {
    const link = event.target.closest("a[data-ask]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    if (asking) return; // a second click would open a second dialog behind the first
    asking = true;
    try {
      open(await question(link.href), link);
    } catch {
      location.assign(link.href);
    }
    asking = false;
  });
}

async function question(href) {
  const answer = await fetch(href, { headers: { Accept: "text/html" } });
  if (answer.redirected) throw new Error("not logged in any more");
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  return document.importNode(page.getElementById("main"), true);
}

function open(main, link) {
  const dialog = document.createElement("dialog");
  dialog.append(...main.childNodes);
  const heading = dialog.querySelector("h1");
  if (heading) {
    heading.id = "question";
    dialog.setAttribute("aria-labelledby", "question");
  }
  dialog.addEventListener("click", (event) => {
    if (event.target !== dialog && !event.target.closest("[data-close]")) return;
    event.preventDefault();
    dialog.close();
  });
  dialog.addEventListener("submit", (event) => {
    const button = event.submitter;
    setTimeout(() => { button.disabled = true; }); // once is enough
  });
  dialog.addEventListener("close", () => {
    dialog.remove();
    link.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
}
