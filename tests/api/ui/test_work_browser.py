"""Tasks, dead letters and actions on the dashboard in a real browser."""

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.browser import Browser, needs_browser
from tests.harness import Gate, ServerProcess, eventually

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("work-browser"), needs_browser]

SETTINGS = (
    "actions.fail='tests.actions:fail'",
    "actions.resize='tests.actions:resize'",
    "actions.report_and_wait='tests.actions:report_and_wait'",
    "queues.tasks.max_attempts=1",
    "builtin.fallback=true",
)
LATER = 3_600
GROUP = {"queue": "tasks", "action": "fail", "error_group": "ValueError: to be looked at"}


@pytest.fixture(scope="module")
def server(serve_all: Callable[..., ServerProcess]) -> ServerProcess:
    """A server with tasks in several states."""
    return serve_all(*SETTINGS).start()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as browser:
        yield browser


class Tab:
    """The browser on the pages of one server."""

    def __init__(self, browser: Browser, server: ServerProcess) -> None:
        self._browser = browser
        self._base = str(server.client.base_url).rstrip("/")
        self.text = browser.text
        self.click = browser.click
        self.fill = browser.fill
        self.run = browser.run
        self.look_like = browser.look_like
        self.faults = browser.faults

    def open(self, path: str) -> None:
        self._browser.open(f"{self._base}{path}")

    def wait_for(self, text: str, selector: str = "body") -> None:
        eventually(lambda: text in self.text(selector), text)


@pytest.fixture
def tab(browser: Browser, server: ServerProcess) -> Tab:
    return Tab(browser, server)


def publish_many(server: ServerProcess, action: str, count: int) -> None:
    task = {"action": action, "delay_seconds": LATER}
    answer = server.client.post("/tasks/batch", json={"tasks": [task] * count})
    assert answer.is_success


def left(server: ServerProcess, action: str) -> int:
    """How many tasks with this action still wait."""
    query = {"action": action, "status": "scheduled", "limit": "1000"}
    return int(server.client.get("/tasks", params=query).json()["count"])


def test_a_box_selects_all_tasks_of_a_page(server: ServerProcess, tab: Tab) -> None:
    publish_many(server, "boxes", 3)
    tab.open("/ui/tasks?action=boxes")
    tab.click("[data-all]")
    assert tab.text("[data-count]") == "(3)"
    tab.click("input[name=id]")
    assert tab.text("[data-count]") == "(2)"
    assert tab.run("return document.querySelector('[data-all]').indeterminate") is True
    tab.click("button[value=cancel]")
    tab.wait_for("Cancel 2 tasks?")
    tab.click("form[action$=step] button")
    tab.wait_for("2 tasks cancelled.")
    assert left(server, "boxes") == 1


def test_a_change_of_many_tasks_goes_on_by_itself(server: ServerProcess, tab: Tab) -> None:
    publish_many(server, "by_itself", 700)
    tab.open("/ui/tasks?action=by_itself")
    tab.click("input[value=filter]")
    tab.click("button[value=cancel]")
    tab.wait_for("Cancel 700 tasks?")
    tab.click("form[action$=step] button")
    tab.wait_for("700 tasks cancelled.")
    assert tab.run("return document.querySelector('progress').value") == 700
    assert left(server, "by_itself") == 0


@pytest.mark.parametrize(
    ("name", "comes", "words"),
    [
        ("breaks_off", "throw new Error('no network.')", "no network."),
        ("is_out", "return {redirected: true}", "you are not logged in any more."),
    ],
)
def test_a_change_that_cannot_go_on_says_so_and_can_be_tried_again(
    server: ServerProcess, tab: Tab, name: str, comes: str, words: str
) -> None:
    publish_many(server, name, 450)
    tab.open(f"/ui/tasks?action={name}")
    tab.click("input[value=filter]")
    tab.click("button[value=cancel]")
    tab.wait_for("Cancel 450 tasks?")
    # As if the second step did not reach the server, or somebody had logged out before it.
    script = """
        const form = document.querySelector("form[action$=step]");
        const body = new URLSearchParams(new FormData(form));
        const answer = await fetch(form.action, {method: "POST", body});
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        document.querySelector("main").replaceWith(page.querySelector("main"));
        window.fetch = async () => { COMES; };
        const module = document.querySelector("script[src$='steps.js']").src;
        await import(module + "?again");
    """
    tab.run(script.replace("COMES", comes))
    tab.wait_for(f"It has stopped: {words}")
    assert 0 < left(server, name) < 450
    tab.click("[data-next]")
    tab.wait_for("450 tasks cancelled.")
    assert left(server, name) == 0


def test_a_cancel_asks_in_a_dialog_and_escape_is_no(
    server: ServerProcess, browser: Browser, tab: Tab
) -> None:
    publish_many(server, "asked", 1)
    tab.open("/ui/tasks?action=asked")
    tab.click("tbody th a")
    tab.wait_for("About")
    tab.click("a[href$='/cancel']")
    tab.wait_for("Cancel this task?", "dialog")
    browser.press("\ue00c")
    has_focus = "return document.activeElement.matches('a[href$=\"/cancel\"]')"
    assert eventually(lambda: tab.run(has_focus), "the focus is back at the link")
    assert left(server, "asked") == 1
    tab.click("a[href$='/cancel']")
    tab.wait_for("Cancel this task?", "dialog")
    tab.click("dialog button.harms")
    tab.wait_for("The task was cancelled")
    assert left(server, "asked") == 0


def test_however_often_somebody_clicks_it_asks_once(server: ServerProcess, tab: Tab) -> None:
    publish_many(server, "impatient", 1)
    tab.open("/ui/tasks?action=impatient")
    tab.click("tbody th a")
    tab.wait_for("About")
    clicks = """
        const link = document.querySelector("a[href$='/cancel']");
        const fetched = window.fetch;
        let asked = 0;
        window.fetch = (...request) => (asked++, fetched(...request));
        for (let times = 0; times < 3; times++) link.click();
        return asked;
    """
    assert tab.run(clicks) == 1  # or a second dialog would open behind the first
    tab.wait_for("Cancel this task?", "dialog")
    tab.click("dialog [data-close]")
    eventually(lambda: not tab.text("dialog"), "the dialog is closed")
    tab.click("a[href$='/cancel']")
    tab.wait_for("Cancel this task?", "dialog")


def test_progress_moves_while_somebody_looks(
    server: ServerProcess, tab: Tab, tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    data = {"fraction": 0.25, "message": "a quarter", "fifo": str(gate.path)}
    task_id = server.publish("report_and_wait", **data)
    tab.open(f"/ui/tasks/{task_id}")
    tab.run("window.stays = true")
    tab.wait_for("25.0 % a quarter")
    gate.open("through")
    tab.wait_for("completed", "h1")
    tab.wait_for("through")
    assert tab.run("return window.stays") is True
    # What has ended is not asked for again.
    assert tab.run("return document.body.dataset.live") == ""
    asked = """
        let asked = 0;
        window.fetch = async () => { asked++; return new Response("", {status: 500}); };
        document.dispatchEvent(new Event("refresh"));
        document.dispatchEvent(new Event("refresh"));
        return asked;
    """
    assert tab.run(asked) == 1  # and by hand, one after the other


def test_a_form_shows_what_is_wrong_and_publishes(tab: Tab) -> None:
    tab.open("/ui/actions/resize")
    tab.fill("[name='data.sizes']", '[{"width": "wide"}]')
    tab.click("button.main")
    tab.wait_for("data.sizes[0].width", ".wrong:not(:empty)")
    described = """
        const field = document.querySelector("[aria-invalid]");
        const ids = field.getAttribute("aria-describedby").split(" ");
        return ids.map(id => document.getElementById(id).innerText).join(" ");
    """
    assert "data.sizes[0].width" in str(tab.run(described))
    tab.fill("[name='data.sizes']", '[{"width": 4}]')
    tab.click("button.main")
    tab.wait_for("The task was published.")


def test_a_redrive_goes_to_its_end(server: ServerProcess, tab: Tab) -> None:
    for number in range(2):
        task_id = server.publish("fail", message=f"in the browser {number}")
        server.wait_for_status(task_id, "dead")
    tab.open("/ui/dead-letters")
    tab.click("a[aria-label*='in the browser']")
    tab.wait_for("Redrive 2 tasks?")
    tab.click("form[action$=redrive] button")
    tab.wait_for("2 tasks put back on their queues.")


@pytest.fixture(scope="module")
def pages(server: ServerProcess) -> dict[str, str]:
    """The paths of all pages, with something to see on each."""
    died = server.publish("fail", message="to be looked at")
    server.wait_for_status(died, "dead")
    done = server.publish("sum", numbers=[1, 2])
    server.wait_for_status(done, "completed")
    return {
        "tasks": "/ui/tasks?limit=25",
        "tasks that match": "/ui/tasks?status=dead&data.message=to+be+looked+at",
        "wrong filter": "/ui/tasks?queue=nowhere",
        "dead task": f"/ui/tasks/{died}",
        "completed task": f"/ui/tasks/{done}",
        "question": f"/ui/tasks/{died}/delete",
        "dead letters": "/ui/dead-letters",
        "redrive": f"/ui/dead-letters/redrive?{urlencode(GROUP)}",
        "actions": "/ui/actions",
        "form": "/ui/actions/resize",
        "form with data": f"/ui/actions/fail?from={died}",
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_shuts_anybody_out(
    tab: Tab, pages: dict[str, str], width: int, scheme: str
) -> None:
    tab.look_like(width=width, dark=scheme == "dark")
    try:
        for name, path in pages.items():
            tab.open(path)
            unfold = "document.querySelectorAll('details').forEach(each => { each.open = true; })"
            wide = f"{unfold}; return document.documentElement.scrollWidth"
            assert tab.run(wide) <= width, name
            assert tab.faults() == [], name
    finally:
        tab.look_like()
