// Loads the page again every few seconds and changes what has changed, without losing the place.
import { morph } from "./morph.js";

const MAX_PAUSE_SECONDS = 30;
const GIVE_UP_MS = 10_000;

export function stayLive() {
  const seconds = () => Number(document.body.dataset.live);
  if (!seconds()) return;
  let pause = seconds();
  let timer = 0;
  let asking = false;

  const turn = async () => {
    if (asking) return; // it goes on when that has come back
    clearTimeout(timer);
    if (document.hidden) return;
    if (isBusy()) {
      timer = setTimeout(turn, seconds() * 1000);
      return;
    }
    asking = true;
    try {
      await refresh();
      pause = seconds();
      show("");
    } catch {
      pause = Math.min(pause * 2, MAX_PAUSE_SECONDS);
      show("No connection: what you see is old. Trying again …");
    }
    asking = false;
    if (pause) timer = setTimeout(turn, pause * 1000); // what has ended does not change any more
  };

  document.addEventListener("visibilitychange", () => document.hidden || turn());
  document.addEventListener("refresh", turn);
  timer = setTimeout(turn, pause * 1000);
}

export async function refresh() {
  const answer = await fetch(location.href, {
    headers: { Accept: "text/html" },
    signal: AbortSignal.timeout(GIVE_UP_MS),
  });
  if (answer.redirected) {
    location.assign(answer.url); // the session is over
    return;
  }
  const text = await answer.text();
  const fresh = new DOMParser().parseFromString(text, "text/html");
  const main = fresh.getElementById("main");
  if (!main || answer.status >= 500) throw new Error(`answered with ${answer.status}`);
  if (isBusy()) return;
  morph(document.getElementById("main"), main);
  document.body.dataset.live = fresh.body.dataset.live;
}

// Whoever selects text, or looks at a question, is not to be disturbed.
function isBusy() {
  const selection = getSelection();
  const selects = selection && !selection.isCollapsed
    && document.getElementById("main").contains(selection.anchorNode);
  return selects || document.querySelector("dialog[open]") !== null;
}

function show(words) {
  const place = document.getElementById("live");
  place.textContent = words;
  place.hidden = !words;
  document.body.classList.toggle("stale", Boolean(words));
}
