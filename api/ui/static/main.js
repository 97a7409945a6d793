// What every page has: it stays up to date, asks in dialogs, and listens to keys.
import { keepAskingInDialogs } from "./ask.js";
import { listenToKeys } from "./keys.js";
import { stayLive } from "./live.js";

keepAskingInDialogs();
listenToKeys();
stayLive();

// What was said of a change is said once: not again when the page is loaded anew.
const here = new URL(location.href);
if (here.searchParams.has("said")) {
  here.searchParams.delete("said");
  history.replaceState(null, "", here);
}
