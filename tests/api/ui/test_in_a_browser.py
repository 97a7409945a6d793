"""The dashboard in a real browser: pages and changes, by mouse and keys, in light and dark."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.browser import Browser, needs_browser
from tests.harness import ServerProcess, eventually

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("browser"), needs_browser]

KEY = "the-key-of-whoever-is-on-call-tonight"
SETTINGS = (
    "auth.mode=keys",
    f"auth.keys.on-call={{key='{KEY}', scopes='admin'}}",
    "queues.mail.concurrency=1",
    "schedules.set={cron='0 3 * * *', task={action='sum'}}",
)
PAGES = [
    "/ui/",
    "/ui/queues/mail",
    "/ui/queues/mail/purge",
    "/ui/schedules",
    "/ui/schedules/set",
    "/ui/new-schedule",
    "/ui/nodes",
    "/ui/audit",
    "/ui/nowhere",
]
LOOKS: list[dict[str, Any]] = [{}, {"width": 390, "height": 844, "dark": True}]
"""Wide and light, narrow and dark."""


@pytest.fixture(scope="module")
def server(serve_all: Callable[..., ServerProcess]) -> ServerProcess:
    server = serve_all(*SETTINGS).start()
    server.client.headers["Authorization"] = f"Bearer {KEY}"
    return server


@pytest.fixture(scope="module")
def driven() -> Iterator[Browser]:
    with Browser() as browser:
        yield browser


@pytest.fixture
def browser(driven: Browser, server: ServerProcess) -> Browser:
    """The browser of somebody who has logged in, on the overview."""
    driven.look_like()
    driven.open(url(server, "/ui/"))
    if "/ui/login" in driven.url:
        log_in(driven)
    return driven


def url(server: ServerProcess, path: str) -> str:
    return f"{str(server.client.base_url).rstrip('/')}{path}"


def log_in(browser: Browser) -> None:
    browser.fill("#key", KEY)
    browser.click("main button")
    wait_for(browser, "#queues", "Queues")


def wait_for(browser: Browser, selector: str, text: str) -> None:
    eventually(lambda: text in browser.text(selector), f"{text} in {selector}")


def answer(browser: Browser, question: str, button: str) -> None:
    """Answer the question that a dialog asks."""
    wait_for(browser, "dialog h1", question)
    assert browser.text("dialog form button").strip() == button
    browser.click("dialog form button")


def test_nobody_gets_in_without_a_key(driven: Browser, server: ServerProcess) -> None:
    driven.tell("Network.clearBrowserCookies")
    driven.look_like()
    driven.open(url(server, "/ui/queues/mail"))
    assert driven.text("h1") == "Log in"
    assert driven.faults() == []
    assert driven.run("return document.activeElement.id") == "key"
    driven.fill("#key", "not the right one")
    driven.press("\ue007")
    wait_for(driven, "[role=alert]", "not known")
    driven.fill("#key", KEY)
    driven.click("main button")
    wait_for(driven, "h1", "Queue mail")
    assert driven.run("return document.cookie") == ""
    driven.click(".who form button")
    wait_for(driven, "h1", "Log in")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_shuts_nobody_out(browser: Browser, server: ServerProcess, path: str) -> None:
    for look in LOOKS:
        browser.look_like(**look)
        browser.open(url(server, path))
        assert browser.faults() == [], look
        wide = browser.run("return document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, look  # it never scrolls to the side


def test_a_policy_that_is_broken_would_be_told(browser: Browser, server: ServerProcess) -> None:
    for path in PAGES:
        browser.open(url(server, path))
    browser.open(url(server, "/ui/"))
    refused = """
        const told = new Promise(done => addEventListener("securitypolicyviolation", done));
        const script = document.createElement("script");
        script.textContent = "window.ran = true";
        document.body.append(script);
        await told;
        return window.ran ?? "refused";
    """
    assert browser.run(refused) == "refused"


def test_a_queue_is_paused_and_resumed_in_dialogs(browser: Browser, server: ServerProcess) -> None:
    browser.click("#queue-mail a")
    wait_for(browser, "h1", "Queue mail")
    browser.click("a[href$='/pause']")
    wait_for(browser, "dialog h1", "Pause the queue mail?")
    assert browser.faults() == []
    browser.click("dialog [data-close]")
    eventually(lambda: not browser.text("dialog"), "the dialog is closed")
    assert browser.run("return document.activeElement.innerText") == "Pause"
    assert not server.client.get("/queues/mail").json()["paused"]

    browser.click("a[href$='/pause']")
    answer(browser, "Pause the queue mail?", "Pause")
    wait_for(browser, "#said", "The queue mail is paused.")
    assert "said=" not in browser.url
    assert server.client.get("/queues/mail").json()["paused"]
    browser.click("a[href$='/resume']")
    answer(browser, "Resume the queue mail?", "Resume")
    wait_for(browser, "#said", "hands out tasks again")


def test_a_queue_is_purged_in_a_dialog_that_says_how_many(
    browser: Browser, server: ServerProcess
) -> None:
    task = {"action": "sum", "queue": "mail", "delay_seconds": 3_600}
    for _ in range(3):
        server.client.post("/tasks", json=task)
    browser.open(url(server, "/ui/queues/mail"))
    browser.click("a[href$='/purge']")
    wait_for(browser, "dialog", "3 tasks will be cancelled")
    answer(browser, "Purge the queue mail?", "Purge")
    wait_for(browser, "#said", "3 tasks cancelled")


def test_a_schedule_is_made_changed_run_and_deleted(
    browser: Browser, server: ServerProcess
) -> None:
    browser.click("nav a[href$='/schedules']")
    wait_for(browser, "h1", "Schedules")
    browser.click("a[href$='/new-schedule']")
    wait_for(browser, "h1", "New schedule")
    browser.fill("#name", "by-hand")
    browser.fill("[name=cron]", "0 25 * * *")
    browser.fill("#action", "sum")
    browser.click("form button.main")
    wait_for(browser, "[role=alert]", "25")
    assert browser.faults() == []
    browser.fill("[name=cron]", "0 5 * * *")
    browser.click("form button.main")
    wait_for(browser, "#said", "The schedule by-hand is made.")

    browser.click("a[href$='/change']")
    wait_for(browser, "h1", "Change the schedule by-hand")
    browser.click("input[value=every]")
    browser.fill("[name=every]", "2h")
    browser.click("form button.main")
    wait_for(browser, "#said", "The schedule by-hand is changed.")
    assert server.client.get("/schedules/by-hand").json()["every"] == "2h"

    browser.click("a[href$='/run']")
    answer(browser, "Run the schedule by-hand now?", "Run now")
    wait_for(browser, "#said", "The schedule by-hand has published this task.")

    browser.open(url(server, "/ui/schedules/by-hand"))
    browser.click("a[href$='/delete']")
    answer(browser, "Delete the schedule by-hand?", "Delete")
    wait_for(browser, "#said", "The schedule by-hand is deleted.")


def test_a_page_stays_up_to_date_and_keeps_the_place(
    browser: Browser, server: ServerProcess
) -> None:
    browser.open(url(server, "/ui/queues/mail"))
    browser.click("#all-settings summary")
    kept = browser.run("window.kept = document.querySelector('#all-settings'); return kept.open")
    assert kept is True
    server.client.post("/queues/mail/pause")
    browser.run("document.dispatchEvent(new Event('refresh'))")
    wait_for(browser, "main", "This queue is paused")
    same = """
        const now = document.querySelector("#all-settings");
        return [now === window.kept, now.open, document.activeElement.tagName];
    """
    assert browser.run(same) == [True, True, "SUMMARY"]
    server.client.post("/queues/mail/resume")
    browser.run("document.dispatchEvent(new Event('refresh'))")
    eventually(lambda: "is paused" not in browser.text("main"), "it is resumed")


def test_a_page_is_loaded_again_by_itself(browser: Browser, server: ServerProcess) -> None:
    server.client.post("/queues/mail/pause")
    wait_for(browser, "#queue-mail", "paused")
    server.client.post("/queues/mail/resume")
    eventually(lambda: "paused" not in browser.text("#queue-mail"), "it is resumed")


def test_a_page_says_when_the_connection_is_lost(browser: Browser, server: ServerProcess) -> None:
    browser.tell("Network.enable")
    offline = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    browser.tell("Network.emulateNetworkConditions", offline=True, **offline)
    try:
        browser.run("document.dispatchEvent(new Event('refresh'))")
        wait_for(browser, "#live", "No connection")
    finally:
        browser.tell("Network.emulateNetworkConditions", offline=False, **offline)
    browser.run("document.dispatchEvent(new Event('refresh'))")
    eventually(lambda: not browser.text("#live"), "it is back")
    assert server.alive


def test_keys_lead_to_pages_and_say_which(browser: Browser) -> None:
    browser.press("g", "n")
    wait_for(browser, "h1", "Nodes")
    browser.press("?")
    wait_for(browser, "dialog", "Schedules")
    assert browser.faults() == []
    browser.press("\ue00c")
    eventually(lambda: not browser.text("dialog"), "the dialog is closed")
    browser.press("g", "u")
    wait_for(browser, "h1", "Audit")
    browser.press("/")
    assert browser.run("return document.activeElement.id") == "who"
    browser.press("g", "n")  # typed, and nothing else
    assert browser.run("return document.activeElement.value") == "gn"


def test_the_content_is_a_key_away(browser: Browser) -> None:
    browser.press("\ue004")
    assert browser.run("return document.activeElement.innerText") == "Skip to the content"
    browser.press("\ue007")
    eventually(
        lambda: browser.run("return document.activeElement.id") == "main", "the focus is there"
    )


def test_without_scripts_everything_can_be_done(browser: Browser, server: ServerProcess) -> None:
    browser.tell("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(url(server, "/ui/queues/mail"))
        browser.click("a[href$='/pause']")
        browser.click(".question button")
        eventually(
            lambda: server.client.get("/queues/mail").json()["paused"], "the queue is paused"
        )
        browser.open(url(server, "/ui/queues/mail/resume"))
        browser.click(".question button")
        eventually(lambda: not server.client.get("/queues/mail").json()["paused"], "it is resumed")
    finally:
        browser.tell("Emulation.setScriptExecutionDisabled", value=False)
