"""What is refused because of the `Host` it names, or of the page that caused it."""

import json

import httpx
import pytest

from tests.api.answers import problem, raw
from tests.harness import ServerProcess

pytestmark = pytest.mark.system

CHANGES = [
    ("POST", "/tasks"),
    ("POST", "/tasks/batch"),
    ("POST", "/queues/tasks/pause"),
    ("POST", "/queues/tasks/purge"),
    ("POST", "/dead-letters/redrive"),
    ("PUT", "/schedules/nightly"),
    ("DELETE", "/schedules/nightly"),
    ("POST", "/nowhere"),
    ("PATCH", "/tasks"),
    ("BREW", "/tasks"),
]
READS = ["GET", "HEAD", "OPTIONS"]
BODIES = {
    "JSON": (json.dumps({"action": "x"}), {"Content-Type": "application/json"}),
    "text": (json.dumps({"action": "x"}), {"Content-Type": "text/plain"}),
    "a form": ("a=b", {"Content-Type": "application/x-www-form-urlencoded"}),
    "no type": (json.dumps({"action": "x"}), {}),
    "nothing": ("", {}),
}


@pytest.fixture
def own(server: ServerProcess) -> str:
    """The server's own origin."""
    return str(server.client.base_url).rstrip("/")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "BREW"])
@pytest.mark.parametrize("path", ["/tasks", "/healthz", "/nowhere"])
def test_a_host_of_somebody_else_is_refused_whatever_is_asked(
    server: ServerProcess, method: str, path: str
) -> None:
    answer = server.client.request(method, path, headers={"Host": "evil.example:8080"})
    assert answer.status_code == 421
    if method != "HEAD":
        detail = problem(answer, 421, "unknown host")
        assert detail == (
            "Host evil.example:8080 is not a name of this server; its names are localhost,"
            " http.host and those in http.allowed_hosts"
        )


def test_a_host_of_any_length_is_shown_short(server: ServerProcess) -> None:
    answer = server.client.get("/tasks", headers={"Host": "x" * 30_000})
    assert problem(answer, 421, "unknown host").startswith(f"Host {'x' * 100}… is not")


def test_a_client_of_http_1_0_may_name_no_host(server: ServerProcess) -> None:
    assert raw(server, b"GET /healthz HTTP/1.0\r\n\r\n").status_code == 200


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, "Sec-Fetch-Site is cross-site"),
        ({"Sec-Fetch-Site": "same-site"}, "Sec-Fetch-Site is same-site"),
        ({"Origin": "http://evil.example"}, "Origin is http://evil.example, and Host is "),
        ({"Origin": "null"}, "Origin is null, and Host is "),
        ({"Origin": "http://localhost:1"}, "Origin is http://localhost:1, and Host is "),
        ({"Origin": "file://"}, "Origin is file://, and Host is "),
        ({"Origin": "chrome-extension://a", "Sec-Fetch-Site": "none"}, "Origin is chrome-"),
        ({"Referer": "http://evil.example/a?b"}, "Referer is http://evil.example/a?b, and Host"),
    ],
)
def test_a_change_that_a_foreign_page_caused_is_refused_whatever_its_body(
    server: ServerProcess, headers: dict[str, str], said: str
) -> None:
    for method, path in CHANGES:
        for body, kind in BODIES.values():
            answer = server.client.request(method, path, content=body, headers=headers | kind)
            detail = problem(answer, 403, "foreign origin")
            assert detail.startswith(f"a page of another origin may change nothing here: {said}")


@pytest.mark.parametrize("method", READS)
def test_a_read_is_answered_whoever_asks_and_no_foreign_page_can_use_it(
    server: ServerProcess, method: str
) -> None:
    headers = {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}
    answer = server.client.request(method, "/tasks", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_an_error_is_not_to_be_loaded_either(server: ServerProcess) -> None:
    for path in ("/nowhere", "/tasks/abc", "/tasks?limit=0"):
        answer = server.client.get(path)
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_a_page_of_its_own_may_change_what_it_likes(
    server: ServerProcess, own: str, site: str
) -> None:
    headers = {"Origin": own, "Referer": f"{own}/healthz", "Sec-Fetch-Site": site}
    answer = server.client.post("/queues/tasks/resume", headers=headers)
    assert answer.status_code == 200, answer.text
    answer = server.client.post("/tasks", json={"action": "sum"}, headers=headers)
    assert answer.status_code == 202, answer.text


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost", "http://localhost"),
        ("localhost:80", "http://localhost"),
        ("LOCALHOST:443", "https://localhost"),
        ("localhost:8080", "https://localhost:8080"),
        ("[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_an_origin_is_the_hosts_with_its_port(
    server: ServerProcess, host: str, origin: str
) -> None:
    def answer(origin: str) -> httpx.Response:
        headers = {"Host": host, "Origin": origin}
        return server.client.post("/queues/tasks/resume", headers=headers)

    assert answer(origin).status_code == 200
    assert answer(f"{origin}1").status_code == 403


def test_a_browser_has_to_say_what_its_body_is(server: ServerProcess, own: str) -> None:
    body = json.dumps({"action": "x"})
    error = "Content-Type is missing; a browser has to say application/json"
    for headers in ({"Origin": own}, {"Sec-Fetch-Site": "same-origin"}):
        problem(server.client.post("/tasks", content=body, headers=headers), 415, error)
    assert server.client.post("/tasks", content=body).status_code == 202


def test_names_that_are_allowed_are_known(tmp_path_factory: pytest.TempPathFactory) -> None:
    server = ServerProcess(
        tmp_path_factory.mktemp("allowed"),
        environ={"TASK_QUEUE_HTTP__ALLOWED_HOSTS": "tasks.example, .apps.example"},
    )
    try:
        server.start()
        for host, status in [("tasks.example", 200), ("a.apps.example", 200), ("a.example", 421)]:
            assert server.client.get("/healthz", headers={"Host": host}).status_code == status
    finally:
        server.close()
