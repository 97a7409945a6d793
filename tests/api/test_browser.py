"""A real browser: pages of other origins change nothing and read nothing, an own page works."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser import FOREIGN_NAME, Browser, needs_browser
from tests.endpoint import Endpoint, Peer, Received
from tests.harness import ServerProcess

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("browser"), needs_browser]

HELPERS = """
    const stolen = JSON.stringify({action: "stolen"});
    const asked = (path, options) => fetch(own + path, options)
        .then(answer => answer.status || answer.type, error => error.name);
    const blind = (path, body) => asked(path, {method: "POST", mode: "no-cors", body});
    const beaten = (path, body) => new Promise(done => {
        const answered = entry => entry.initiatorType === "beacon" && done("answered");
        new PerformanceObserver(list => list.getEntries().forEach(answered))
            .observe({type: "resource"});
        navigator.sendBeacon(own + path, body);
    });
    const changed = (method, path, body) => asked(path, {
        method, body, headers: body ? {"Content-Type": "application/json"} : {},
    });
    const loaded = (tag, attributes) => new Promise(done => {
        const element = Object.assign(document.createElement(tag), attributes);
        element.onload = () => done("loaded");
        element.onerror = () => done("refused");
        document.body.append(element);
    });
    const submitted = async (path, enctype, name = "", value = "") => {
        const frame = document.createElement("iframe");
        document.body.append(Object.assign(frame, {name: "hidden"}));
        const form = Object.assign(document.createElement("form"), {
            action: own + path, method: "post", enctype, target: "hidden",
        });
        if (name) form.append(Object.assign(document.createElement("input"), {name, value}));
        document.body.append(form);
        const answered = new Promise(done => { frame.onload = () => done("loaded"); });
        form.submit();
        return answered;
    };
"""
FORM = "application/x-www-form-urlencoded"

CHANGES: dict[str, tuple[str, str]] = {
    "JSON": ('changed("POST", "/tasks", stolen)', "TypeError"),
    "PUT": ('changed("PUT", "/schedules/s", stolen)', "TypeError"),
    "DELETE": ('changed("DELETE", `/tasks/${waits}`)', "TypeError"),
    "text": ('blind("/tasks", stolen)', "opaque"),
    "text, to be read": ('asked("/tasks", {method: "POST", body: stolen})', "TypeError"),
    "no type": ('blind("/tasks", new Blob([stolen]))', "opaque"),
    "bytes": ('blind("/tasks", new TextEncoder().encode(stolen))', "opaque"),
    "batch": ('blind("/tasks/batch", new Blob([`{"tasks": [${stolen}]}`]))', "opaque"),
    "pause": ('blind("/queues/tasks/pause")', "opaque"),
    "purge": ('blind("/queues/tasks/purge")', "opaque"),
    "cancel": ("blind(`/tasks/${waits}/cancel`)", "opaque"),
    "redrive": ("""blind("/dead-letters/redrive", new Blob(['{"queue": "tasks"}']))""", "opaque"),
    "beacon": ('beaten("/tasks", new Blob([stolen]))', "answered"),
    "form": (f'submitted("/queues/tasks/pause", "{FORM}")', "loaded"),
    "form as text": (
        """submitted("/tasks", "text/plain", '{"action": "x", "data": {"a": "', '"}}')""",
        "loaded",
    ),
    "form with a file": ('submitted("/tasks", "multipart/form-data", "a", "b")', "loaded"),
}
"""What a page tries, and what it sees of it: `opaque` is an answer that it cannot read."""

READS: dict[str, tuple[str, str]] = {
    "fetch": ('asked("/tasks")', "TypeError"),
    "fetch without looking": ('asked("/tasks", {mode: "no-cors"})', "TypeError"),
    "picture": ('loaded("img", {src: own + "/tasks"})', "refused"),
    "script": ('loaded("script", {src: own + "/tasks"})', "refused"),
    "script of an error": ('loaded("script", {src: own + "/nowhere"})', "refused"),
    "style": ('loaded("link", {rel: "stylesheet", href: own + "/tasks"})', "refused"),
    "frame": (
        'loaded("iframe", {src: own + "/tasks"}).then(() => frames[0].document).catch(e => e.name)',
        "SecurityError",
    ),
}
ORIGINS = {
    "another port": "http://127.0.0.1:{port}/",
    "another name": "http://localhost:{port}/",
    "another site": f"http://{FOREIGN_NAME}:{{port}}/",
    "no origin": "http://127.0.0.1:{port}/sandbox",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server for pages."""
    server = ServerProcess(tmp_path_factory.mktemp("browser"))
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def waits(server: ServerProcess) -> str:
    """The id of a task that waits to be run, and to be cancelled."""
    task = {"action": "sum", "delay_seconds": 3_600}
    return str(server.client.post("/tasks", json=task).json()["id"])


@pytest.fixture(scope="module", params=ORIGINS)
def foreign(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Browser]:
    """The browser on a page that is not the server's."""
    with Endpoint(page) as endpoint:
        browser.open(ORIGINS[request.param].format(port=endpoint.port))
        yield browser
        browser.open("about:blank")


def page(received: Received, peer: Peer) -> None:
    """Answer with an empty page; below `/sandbox` it has an origin that nobody else has."""
    sandbox = "sandbox allow-scripts allow-forms" if received.target == "/sandbox" else ""
    body = "<!doctype html><title>A page</title><body></body>"
    peer.send(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n"
        f"Content-Security-Policy: {sandbox}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    )


def run(browser: Browser, server: ServerProcess, expression: str, waits: str = "") -> str:
    """What the page gets from this expression in JavaScript."""
    own = str(server.client.base_url).rstrip("/")
    known = f'const own = "{own}"; const waits = "{waits}"; document.body.replaceChildren();'
    return str(browser.run(f"{known} {HELPERS} return String(await {expression})"))


def state(server: ServerProcess) -> list[Any]:
    """All that could have been changed."""
    queue = server.client.get("/queues/tasks").json()
    schedules = server.client.get("/schedules").json()
    return [server.all_tasks(), queue["paused"], queue["counts"], schedules]


@pytest.mark.parametrize("change", CHANGES)
def test_a_foreign_page_changes_nothing(
    foreign: Browser, server: ServerProcess, waits: str, change: str
) -> None:
    expression, outcome = CHANGES[change]
    before = state(server)
    assert run(foreign, server, expression, waits) == outcome
    assert state(server) == before


@pytest.mark.parametrize("read", READS)
def test_a_foreign_page_reads_nothing(foreign: Browser, server: ServerProcess, read: str) -> None:
    expression, outcome = READS[read]
    assert run(foreign, server, expression) == outcome


def test_a_foreign_name_for_this_server_is_refused(browser: Browser, server: ServerProcess) -> None:
    port = server.client.base_url.port
    browser.open(f"http://{FOREIGN_NAME}:{port}/healthz")
    before = state(server)
    script = """
        const read = await fetch("/tasks");
        const type = {"Content-Type": "application/json"};
        const publish = await fetch("/tasks", {method: "POST", headers: type, body: "{}"});
        const pause = await fetch("/queues/tasks/pause", {method: "POST"});
        return [document.body.innerText, read.status, publish.status, pause.status];
    """
    shown, *statuses = browser.run(script)
    assert f"Host {FOREIGN_NAME}:{port} is not a name of this server" in shown
    assert statuses == [421, 421, 421]
    assert state(server) == before


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_an_own_page_does_what_it_likes(
    browser: Browser, server: ServerProcess, waits: str, name: str
) -> None:
    browser.open(f"http://{name}:{server.client.base_url.port}/healthz")
    script = """
        const statuses = [];
        const ask = async (method, path, body) => {
            const headers = body === undefined ? {} : {"Content-Type": "application/json"};
            const answer = await fetch(path, {method, headers, body: JSON.stringify(body)});
            statuses.push(answer.status);
            return answer.status === 204 ? null : answer.json();
        };
        const {id} = await ask("POST", "/tasks", {action: "uppercase", delay_seconds: 3600});
        await ask("GET", `/tasks/${id}`);
        await ask("PUT", "/schedules/s", {cron: "0 0 1 1 *", task: {action: "sum"}});
        await ask("DELETE", "/schedules/s");
        await ask("POST", "/queues/tasks/pause");
        await ask("POST", "/queues/tasks/resume");
        await ask("POST", `/tasks/${id}/cancel`);
        await ask("DELETE", `/tasks/${id}`);
        const untyped = {method: "POST", body: new Blob(['{"action": "sum"}'])};
        statuses.push((await fetch("/tasks", untyped)).status);
        return statuses;
    """
    assert browser.run(script) == [202, 200, 201, 204, 200, 200, 200, 204, 415]
    assert [task["id"] for task in server.all_tasks()] == [waits]
