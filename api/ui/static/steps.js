// A change of many tasks goes on by itself: each step is the form that the button would send.
const SAY_MILLISECONDS = 3000; // a screen reader would not come to an end otherwise
const said = document.querySelector("[data-said]");
const rest = document.querySelector("[data-rest]");
let paused = false;
let saidAt = 0;

const form = () => rest.querySelector("form[data-go-on]");

async function step(sent) {
  const body = new URLSearchParams(new FormData(sent));
  const answer = await fetch(sent.action, { method: "POST", body });
  if (answer.redirected) throw new Error("you are not logged in any more.");
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const next = page.querySelector("[data-rest]");
  if (!next) throw new Error(page.querySelector(".notice")?.textContent ?? answer.statusText);
  const hadFocus = rest.contains(document.activeElement);
  rest.replaceChildren(...next.childNodes);
  show();
  if (hadFocus) rest.querySelector("[data-pause], a")?.focus();
  if (!form() || performance.now() - saidAt > SAY_MILLISECONDS) {
    said.replaceChildren(...page.querySelector("[data-said]").childNodes);
    saidAt = performance.now();
  }
}

function show() {
  const button = rest.querySelector("[data-pause]");
  if (!button) return;
  button.hidden = false;
  rest.querySelector("[data-next]").hidden = true; // it goes on by itself
  button.textContent = paused ? "Resume" : "Pause";
}

async function goOn() {
  try {
    while (form() && !paused) await step(form());
  } catch (error) {
    said.textContent = `It has stopped: ${error.message.trim()} The button tries again.`;
    rest.querySelector("[data-next]").hidden = false;
  }
}

rest.addEventListener("click", (event) => {
  if (!event.target.matches("[data-pause]")) return;
  paused = !paused;
  show();
  if (!paused) goOn();
});
show();
goOn();
