"""Logging in with a key, and what each key sees and may do."""

import re
from collections.abc import Callable, Iterator

import httpx
import pytest

from task_queue.api.auth.sessions import COOKIE
from task_queue.api.ui.log_in import TRIES
from tests.api.keys import make_key, task_queue, url_of
from tests.api.servers import DATABASES, server_on
from tests.api.ui.pages import submit, token_of, words_of
from tests.contract import Client
from tests.harness import ServerProcess, eventually

pytestmark = pytest.mark.system

KEYS = {
    "boss": ("admin", ""),
    "operator": ("read,operate", ""),
    "reader": ("read", ""),
    "shop": ("publish", ""),
    "mailer": ("read,operate", "mail"),
}


def key_of(name: str) -> str:
    return f"the-key-of-{name}-drawn-at-random-for-tests"


@pytest.fixture(scope="module", params=DATABASES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    keys = [
        f"auth.keys.{name}={{key='{key_of(name)}', scopes='{scopes}'"
        + (f", queues='{queues}'}}" if queues else "}")
        for name, (scopes, queues) in KEYS.items()
    ]
    settings = (
        "auth.mode=keys",
        "queues.mail.concurrency=1",
        "queues.hidden.concurrency=1",
        "schedules.hidden-one={cron='0 3 * * *', task={action='sum', queue='hidden'}}",
        # Each address has its own tries, so tests come from several.
        "http.trusted_proxies=127.0.0.1",
    )
    with server_on(request, tmp_path_factory, *settings, *keys) as server:
        yield server


@pytest.fixture
def visitor(
    server: ServerProcess, request: pytest.FixtureRequest
) -> Iterator[Callable[..., httpx.Client]]:
    """Makes clients without a key; with one, they have logged in with it."""
    clients: list[httpx.Client] = []
    number = abs(hash(request.node.nodeid)) % 65_536
    address = f"10.9.{number >> 8}.{number & 255}"

    def make(key: str | None = None) -> httpx.Client:
        headers = {"X-Forwarded-For": address}
        clients.append(Client(base_url=server.client.base_url, headers=headers))
        if key is not None:
            answer = submit(clients[-1], "/ui/login", key=key)
            assert answer.status_code == 303, words_of(answer)
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def test_who_has_not_logged_in_is_led_there_and_back(
    visitor: Callable[..., httpx.Client],
) -> None:
    client = visitor()
    led = client.get("/ui/audit?who=a%20b")
    assert led.status_code == 303
    assert led.headers["Location"] == "/ui/login?next=%2Fui%2Faudit%3Fwho%3Da%2Bb"
    form = client.get(led.headers["Location"])
    assert 'value="/ui/audit?who=a+b"' in form.text
    back = submit(client, "/ui/login", key=key_of("boss"), next="/ui/audit?who=a+b")
    assert (back.status_code, back.headers["Location"]) == (303, "/ui/audit?who=a+b")
    assert client.get(back.headers["Location"]).status_code == 200


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/ui//evil.example"])
def test_nobody_is_led_elsewhere(visitor: Callable[..., httpx.Client], target: str) -> None:
    answer = submit(visitor(), "/ui/login", key=key_of("reader"), next=target)
    assert answer.headers["Location"] == "/ui/"


@pytest.mark.parametrize(
    ("target", "there"),
    [
        ("/ui/\r\nSet-Cookie: made=up", "/ui/%0ASet-Cookie:%20made=up"),
        ("/ui/queues/€", "/ui/queues/%E2%82%AC"),
        ("/ui/queues/%E2%82%AC?a=b+c", "/ui/queues/%E2%82%AC?a=b+c"),
        ("/ui/\t\\evil.example", "/ui/%09%5Cevil.example"),
    ],
)
def test_where_it_leads_is_a_url_and_nothing_more(
    visitor: Callable[..., httpx.Client], target: str, there: str
) -> None:
    answer = submit(visitor(), "/ui/login", key=key_of("reader"), next=target)
    assert (answer.status_code, answer.headers["Location"]) == (303, there)
    assert len(answer.headers.get_list("Set-Cookie")) == 1


def test_the_cookie_is_out_of_reach_and_does_not_hold_the_key(
    visitor: Callable[..., httpx.Client],
) -> None:
    cookie = submit(visitor(), "/ui/login", key=key_of("boss")).headers["Set-Cookie"]
    for part in ("HttpOnly", "SameSite=Strict", "Path=/ui/", "Max-Age=43200"):
        assert part in cookie
    assert "Secure" not in cookie
    assert key_of("boss") not in cookie
    behind_tls = visitor()
    behind_tls.headers["X-Forwarded-Proto"] = "https"
    assert "Secure" in submit(behind_tls, "/ui/login", key=key_of("boss")).headers["Set-Cookie"]


def test_a_cookie_counts_below_the_dashboard_alone(visitor: Callable[..., httpx.Client]) -> None:
    client = visitor(key_of("boss"))
    (cookie,) = (each.value for each in client.cookies.jar)
    stolen = {"Cookie": f"{COOKIE}={cookie}"}
    assert client.get("/tasks", headers=stolen).status_code == 401
    assert client.get("/ui/", headers=stolen).status_code == 200


def test_who_logs_out_is_out(visitor: Callable[..., httpx.Client]) -> None:
    client = visitor(key_of("reader"))
    assert client.get("/ui/").status_code == 200
    out = client.post("/ui/logout", data={"token": token_of(client, "/ui/")})
    assert out.headers["Location"] == "/ui/login"
    assert client.get("/ui/").status_code == 303


def test_a_wrong_key_is_told_and_tries_are_bounded(
    visitor: Callable[..., httpx.Client], server: ServerProcess
) -> None:
    client = visitor()
    token = token_of(client, "/ui/login")
    wrong = {"token": token, "key": "not-a-key-that-anybody-has"}
    first = client.post("/ui/login", data=wrong)
    assert first.status_code == 403
    assert "not known" in words_of(first)
    assert "not-a-key-that-anybody-has" not in first.text
    answers = [client.post("/ui/login", data=wrong).status_code for _ in range(TRIES)]
    assert answers[-1] == 429
    right = client.post("/ui/login", data=wrong | {"key": key_of("boss")})
    assert "Too many tries" in words_of(right)
    refused = server.wait_for_log("log-in refused")
    assert "not-a-key-that-anybody-has" not in str(server.log)
    assert refused["source"].startswith("10.9.")
    # Whoever comes from elsewhere is not held up.
    elsewhere = {"X-Forwarded-For": "10.8.0.1"}
    fields = wrong | {"key": key_of("boss")}
    assert client.post("/ui/login", data=fields, headers=elsewhere).status_code == 303


def test_a_token_is_of_one_session(visitor: Callable[..., httpx.Client]) -> None:
    mine, theirs = visitor(key_of("operator")), visitor(key_of("operator"))
    path = "/ui/queues/tasks/pause"
    answer = mine.post(path, data={"token": token_of(theirs, path)})
    assert answer.status_code == 403
    assert submit(mine, path).status_code == 303
    assert submit(mine, "/ui/queues/tasks/resume").status_code == 303


def test_a_change_is_recorded_with_who_made_it(visitor: Callable[..., httpx.Client]) -> None:
    operator, boss = visitor(key_of("operator")), visitor(key_of("boss"))
    submit(operator, "/ui/queues/mail/pause")
    submit(operator, "/ui/queues/mail/resume")
    words = words_of(boss.get("/ui/audit"))
    assert re.search(r"operator pause_queue /queues/mail/pause 10\.9\.\d+\.\d+ 200", words)
    assert re.search(r"operator log_in /ui/login", words)


def test_a_reader_changes_nothing_and_is_offered_nothing(
    visitor: Callable[..., httpx.Client],
) -> None:
    client = visitor(key_of("reader"))
    page = client.get("/ui/queues/tasks")
    assert "/ui/queues/tasks/pause" not in page.text
    assert "/ui/audit" not in page.text
    refused = submit(client, "/ui/queues/tasks/pause")
    assert refused.status_code == 403
    assert "takes a key with the scope operate; the key reader has read" in words_of(refused)
    audit = client.get("/ui/audit")
    assert (audit.status_code, "scope admin" in words_of(audit)) == (403, True)


def test_a_key_that_may_not_read_is_told_so(visitor: Callable[..., httpx.Client]) -> None:
    page = visitor(key_of("shop")).get("/ui/")
    assert page.status_code == 403
    assert "the scope read; the key shop has publish" in words_of(page)
    assert "Log out" in page.text


def test_a_restricted_key_sees_nothing_of_other_queues(
    visitor: Callable[..., httpx.Client],
) -> None:
    client = visitor(key_of("mailer"))
    for path in ("/ui/", "/ui/schedules", "/ui/nodes", "/ui/new-schedule", "/ui/queues/mail"):
        page = client.get(path)
        assert page.status_code == 200, path
        assert "hidden" not in words_of(page), path
    there = client.get("/ui/queues/hidden")
    absent = client.get("/ui/queues/absent")
    assert there.status_code == absent.status_code == 404
    assert words_of(there).replace("hidden", "absent") == words_of(absent)
    assert submit(client, "/ui/queues/mail/pause").status_code == 303
    assert submit(client, "/ui/queues/mail/resume").status_code == 303


def test_a_link_elsewhere_is_followed_once_more_with_the_cookie(
    visitor: Callable[..., httpx.Client],
) -> None:
    page = visitor().get("/ui/nodes?a=b", headers={"Sec-Fetch-Site": "cross-site"})
    assert page.status_code == 200
    assert 'http-equiv="refresh" content="0"' in page.text


def test_a_key_that_is_revoked_is_out_within_seconds(
    visitor: Callable[..., httpx.Client], server: ServerProcess
) -> None:
    key = make_key(server.directory, "leaver", "--scope", "read", url=url_of(server))
    client = visitor(key)
    assert client.get("/ui/").status_code == 200
    task_queue(server.directory, "keys", "revoke", "leaver", url=url_of(server))
    eventually(lambda: client.get("/ui/").status_code == 303, "it is out", timeout=5)


def test_a_key_in_the_header_does_as_well(visitor: Callable[..., httpx.Client]) -> None:
    client = visitor()
    client.headers["Authorization"] = f"Bearer {key_of('operator')}"
    assert "tasks" in words_of(client.get("/ui/"))
    assert submit(client, "/ui/queues/tasks/pause").status_code == 303
    assert submit(client, "/ui/queues/tasks/resume").status_code == 303
    client.headers["Authorization"] = "Bearer wrong"
    assert client.get("/ui/").status_code == 401
