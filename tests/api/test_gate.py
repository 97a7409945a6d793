"""Who is let in, and what is answered to those who are not."""

import json
import signal
import socket
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import pytest

from task_queue.api.auth.scopes import Scope
from task_queue.api.contract.operation import Operation
from task_queue.api.routes.table import OPERATIONS
from tests.api.answers import problem
from tests.api.keys import get, make_key, task_queue, url_of, with_key
from tests.api.servers import DATABASES, server_on
from tests.harness import DEADLINE_SECONDS, ServerProcess, eventually

pytestmark = pytest.mark.system

Serve = Callable[..., ServerProcess]
TASK = "01a20000-0000-7000-8000-000000000000"
REFUSED = {401, 403}
CLOSED = [each for each in OPERATIONS if each.scope is not None]


class Guarded:
    """A server that asks for keys, and a key for each scope."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.keys = {
            scope: make_key(server.directory, f"for-{scope}", "--scope", scope, url=url_of(server))
            for scope in Scope
        }

    def ask(self, operation: Operation, key: str | None) -> httpx.Response:
        path = operation.path.format(task_id=TASK, name="nothing", lease=TASK)
        body: dict[str, str] | None = None if operation.method == "GET" else {}
        return self.server.client.request(
            operation.method, path, json=body, headers={} if key is None else with_key(key)
        )


@pytest.fixture(scope="module", params=DATABASES)
def guarded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Guarded]:
    keys = ("auth.keys.first.key=the-first-key-that-it-starts-with", "auth.keys.first.scopes=read")
    with server_on(request, tmp_path_factory, "auth.mode=keys", *keys) as server:
        yield Guarded(server)


@pytest.mark.parametrize("operation", CLOSED, ids=lambda each: each.operation_id)
def test_each_operation_takes_a_key_with_its_scope(guarded: Guarded, operation: Operation) -> None:
    assert operation.scope is not None
    missing = guarded.ask(operation, None)
    assert missing.status_code == 401
    assert missing.headers["WWW-Authenticate"] == 'Bearer realm="task-queue"'
    for scope, key in guarded.keys.items():
        answer = guarded.ask(operation, key)
        if scope in {operation.scope, Scope.ADMIN}:
            assert answer.status_code not in REFUSED, (scope, answer.text)
            continue
        assert answer.status_code == 403, (scope, answer.text)
        assert answer.headers["WWW-Authenticate"] == (
            f'Bearer realm="task-queue", error="insufficient_scope", scope="{operation.scope}"'
        )
        assert answer.json()["detail"] == (
            f"this takes a key with the scope {operation.scope}; the key for-{scope} has {scope}"
        )


def test_who_may_not_read_waits_for_the_end_of_its_own_task_and_of_no_other(
    guarded: Guarded,
) -> None:
    publish_and_wait = {**with_key(guarded.keys[Scope.PUBLISH]), "Prefer": "wait=30"}
    body = {"action": "sum", "data": {"numbers": [1, 2]}}
    own = guarded.server.client.post("/tasks", json=body, headers=publish_and_wait)
    assert (own.status_code, own.json()["result"]) == (200, {"output": 3})
    once = body | {"unique_key": "one", "delay_seconds": 600}
    first = guarded.server.client.post(
        "/tasks", json=once, headers=publish_and_wait | {"Prefer": ""}
    )
    again = guarded.server.client.post("/tasks", json=once, headers=publish_and_wait)
    assert again.json() == {"id": first.json()["id"], "status": "scheduled", "duplicate": True}
    assert "Preference-Applied" not in again.headers


def test_who_may_not_read_sees_no_other_task_by_repeating_what_a_reader_has_sent(
    guarded: Guarded,
) -> None:
    body = {"action": "sum", "data": {"numbers": [1, 2]}, "unique_key": "two", "delay_seconds": 1}
    once = {"Idempotency-Key": "two", "Prefer": "wait=30"}

    def send(scope: Scope, **headers: str) -> httpx.Response:
        headers |= with_key(guarded.keys[scope])
        return guarded.server.client.post("/tasks", json=body, headers=headers)

    first = send(Scope.PUBLISH)
    read = send(Scope.ADMIN, **once)
    assert (read.json()["id"], read.json()["result"]) == (first.json()["id"], {"output": 3})
    repeated = send(Scope.PUBLISH, **once)
    assert repeated.headers["Idempotency-Replayed"] == "true"
    assert repeated.json() == {"id": first.json()["id"], "status": "scheduled", "duplicate": True}
    assert send(Scope.ADMIN, **once).json()["result"] == {"output": 3}


def test_what_is_open_takes_no_key(guarded: Guarded) -> None:
    open_ones = [each.path for each in OPERATIONS if each.scope is None]
    assert sorted(open_ones) == ["/docs", "/healthz", "/openapi.json", "/readyz"]
    for path in open_ones:
        assert get(guarded.server, path).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/tasks/", "//tasks", "/audit?who=x", "/tasks?k=1"]
)
def test_without_a_key_nobody_learns_what_there_is(guarded: Guarded, path: str) -> None:
    assert get(guarded.server, path).status_code == 401
    assert guarded.server.client.request("OPTIONS", path).status_code == 401


@pytest.mark.parametrize(
    ("value", "error", "detail"),
    [
        ("Basic dTpw", None, "Authorization must be Bearer and a key"),
        ("a-key-of-the-settings-without-Bearer", None, "Authorization must be Bearer and a key"),
        ("Bearer", None, "Authorization must be Bearer and one key, of visible characters"),
        ("Bearer x", "invalid_token", "the key is not known"),
        (f"Bearer tq_{'0' * 16}_{'0' * 64}", "invalid_token", "the key is not known"),
    ],
)
def test_a_key_that_does_not_hold_is_told_apart_from_none(
    guarded: Guarded, value: str, error: str | None, detail: str
) -> None:
    answer = guarded.server.client.get("/tasks", headers={"Authorization": value})
    expected = 'Bearer realm="task-queue"' + (f', error="{error}"' if error else "")
    assert answer.headers["WWW-Authenticate"] == expected
    assert problem(answer, 401, "key refused" if error else "key needed") == detail


def test_an_expired_key_says_so_to_whoever_has_it(guarded: Guarded) -> None:
    server = guarded.server
    key = make_key(
        server.directory, "short", "--scope", "read", "--expires", "1s", url=url_of(server)
    )
    answer = eventually(
        lambda: (found := get(server, "/tasks", key)).status_code == 401 and found, "it has expired"
    )
    assert isinstance(answer, httpx.Response)
    assert answer.json()["detail"] == "the key short is expired"
    assert get(server, "/tasks", f"{key[:-1]}x").json()["detail"] == "the key is not known"


def test_two_headers_are_none(guarded: Guarded) -> None:
    key = guarded.keys[Scope.READ]
    headers = [("Authorization", f"Bearer {key}"), ("Authorization", f"Bearer {key}")]
    assert guarded.server.client.get("/tasks", headers=headers).status_code in {400, 401}


def test_a_key_in_the_url_is_an_unknown_parameter(guarded: Guarded) -> None:
    key = guarded.keys[Scope.READ]
    answer = guarded.server.client.get(f"/queues?key={key}", headers=with_key(key))
    assert answer.status_code == 400
    assert "key is not known" in answer.text


def test_a_connection_goes_on_after_a_refusal(guarded: Guarded) -> None:
    key, url = guarded.keys[Scope.PUBLISH], guarded.server.client.base_url
    body = json.dumps({"action": "sum", "data": {"numbers": [1]}})

    def asking(head: str) -> bytes:
        return (
            f"POST /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{head}"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    with socket.create_connection(("127.0.0.1", url.port or 0), DEADLINE_SECONDS) as client:
        client.sendall(asking("") + asking(f"Authorization: Bearer {key}\r\n"))
        seen = b""
        while seen.count(b"HTTP/1.1 ") < 2 or b'"queued"' not in seen:
            data = client.recv(65_536)
            assert data, seen
            seen += data
    assert seen.index(b"401 Unauthorized") < seen.index(b"202 Accepted")


def test_what_operators_do_is_recorded_with_who_and_how_it_went(guarded: Guarded) -> None:
    server, admin = guarded.server, guarded.keys[Scope.ADMIN]
    operator = guarded.keys[Scope.OPERATE]
    headers = with_key(operator)
    assert server.client.post(f"/tasks/{TASK}/cancel", headers=headers).status_code == 404
    assert server.client.post("/queues/tasks/pause", headers=headers).status_code == 200
    assert server.client.post("/queues/tasks/resume", headers=headers).status_code == 200

    def look() -> list[tuple[str, str, int | None]]:
        entries = get(server, "/audit?who=for-operate&limit=3", admin).json()["entries"]
        found = [(each["what"], each["target"], each["status"]) for each in entries]
        return [] if None in [status for _, _, status in found] else found

    assert eventually(look, "the statuses are noted") == [
        ("resume_queue", "/queues/tasks/resume", 200),
        ("pause_queue", "/queues/tasks/pause", 200),
        ("cancel_task", f"/tasks/{TASK}/cancel", 404),
    ]
    (entry,) = get(server, "/audit?who=for-operate&limit=1", admin).json()["entries"]
    assert entry["who"] == f"for-operate ({operator[3:19]})"
    assert entry["source"] == "127.0.0.1"
    line = server.wait_for_log("operator's request", what="cancel_task")
    assert (line["who"], line["status"]) == (entry["who"], 404)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_foreign_page_leaves_no_entry_in_the_audit_log(guarded: Guarded, method: str) -> None:
    admin = with_key(guarded.keys[Scope.ADMIN])
    foreign = {"Sec-Fetch-Site": "cross-site"}
    sent = guarded.server.client.request(method, "/audit?who=x", headers=admin | foreign)
    assert sent.status_code == 403
    newest = guarded.server.client.get("/audit?limit=2", headers=admin).json()["entries"]
    assert 403 not in [each["status"] for each in newest]
    assert guarded.server.client.get("/tasks", headers=admin | foreign).status_code == 200


def test_the_audit_log_is_read_in_pages(guarded: Guarded) -> None:
    server, admin = guarded.server, guarded.keys[Scope.ADMIN]
    for _ in range(3):
        get(server, "/audit?who=nobody", admin)
    first = get(server, "/audit?what=list_audit&limit=2", admin).json()
    assert (first["count"], len(first["entries"])) == (2, 2)
    cursor = first["next_cursor"]
    second = get(server, f"/audit?what=list_audit&limit=2&cursor={cursor}", admin).json()
    assert second["entries"][0]["at"] <= first["entries"][1]["at"]
    assert get(server, f"/audit?limit=2&cursor={cursor}", admin).status_code == 400
    assert get(server, "/audit?limit=0", admin).status_code == 400
    assert get(server, "/audit?whom=x", admin).status_code == 400


def test_an_admin_of_some_queues_does_not_see_what_is_of_all(guarded: Guarded) -> None:
    server = guarded.server
    options = ("--scope", "admin", "--queue", "tasks")
    key = make_key(server.directory, "some", *options, url=url_of(server))
    answer = get(server, "/audit", key)
    assert answer.status_code == 403
    assert "this is about all queues, and the key some is restricted to tasks" in answer.text
    assert get(server, "/tasks", key).status_code == 200


def test_no_key_is_in_the_log_or_in_an_answer(guarded: Guarded) -> None:
    server = guarded.server
    for key in (*guarded.keys.values(), f"tq_{'7' * 16}_{'7' * 64}"):
        secret = key.rpartition("_")[2]
        answers = [get(server, path, key).text for path in ("/tasks", "/audit", "/openapi.json")]
        assert secret not in "".join(answers) + json.dumps(server.log)


def test_a_key_that_is_revoked_on_one_node_is_refused_on_another_within_five_seconds(
    serve: Serve, migrated_url: str, tmp_path: Path
) -> None:
    key = make_key(tmp_path, "shop", "--scope", "read", url=migrated_url)
    settings = ("auth.mode=keys", f"database.url={migrated_url}")
    nodes = [serve(*settings).start() for _ in range(2)]
    assert [get(node, "/tasks", key).status_code for node in nodes] == [200, 200]
    assert task_queue(tmp_path, "keys", "revoke", key[3:19], url=migrated_url).returncode == 0
    for node in nodes:
        eventually(lambda node=node: get(node, "/tasks", key).status_code == 401, "refused", 5.0)  # type: ignore[misc]
    assert get(nodes[0], "/tasks", key).json()["detail"] == "the key shop is revoked"


def test_what_waits_ends_when_its_key_is_revoked_and_gets_nothing_more(
    serve: Serve, tmp_path: Path
) -> None:
    key = make_key(tmp_path, "shop", "--scope", "admin")
    server = serve("auth.mode=keys", "actions.resize.external=true").start()
    headers = with_key(key)
    body = json.dumps({"action": "resize", "delay_seconds": 3600})
    sent = server.client.post("/tasks", content=body, headers=headers)
    assert sent.status_code == 202, sent.text
    path = f"/tasks/{sent.json()['id']}"
    wait = headers | {"Prefer": f"wait={2 * DEADLINE_SECONDS:.0f}"}
    with ThreadPoolExecutor() as threads:
        ask = partial(server.client.request, headers=wait, timeout=DEADLINE_SECONDS)
        leased = threads.submit(ask, "POST", "/queues/tasks/lease", content="{}")
        read = threads.submit(ask, "GET", path)
        assert task_queue(tmp_path, "keys", "revoke", "shop").returncode == 0
        assert leased.result().json().get("leases", []) == []
        assert read.result().json().get("status") in ("scheduled", 401)


def test_an_entry_of_the_audit_log_survives_a_kill(serve: Serve, tmp_path: Path) -> None:
    server = serve().start()
    assert server.client.post("/queues/tasks/pause").status_code == 200
    server.kill()
    connection = sqlite3.connect(tmp_path / "data" / "tasks.db")
    found = connection.execute("SELECT who, what FROM audit").fetchall()
    connection.close()
    assert found == [("anonymous", "pause_queue")]


def test_what_cannot_be_recorded_is_not_done(serve: Serve, tmp_path: Path) -> None:
    server = serve("database.busy_timeout_seconds=0.1").start()
    connection = sqlite3.connect(tmp_path / "data" / "tasks.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        assert server.client.post("/queues/tasks/pause").status_code == 503
    finally:
        connection.close()
    eventually(lambda: server.client.get("/readyz").status_code == 200, "it is ready again")
    assert server.client.get("/queues/tasks").json()["paused"] is False


def test_the_requests_of_a_key_are_counted(serve: Serve, tmp_path: Path) -> None:
    key = make_key(tmp_path, "shop", "--scope", "publish", "--scope", "read")
    settings = ("auth.rate_limit=0.1", "auth.rate_burst=3", "queues.tasks.max_length=9")
    server = serve("auth.mode=keys", *settings).start()
    task = {"action": "sum", "data": {"numbers": [1]}}
    answer = server.client.post("/tasks", json=task, headers=with_key(key))
    assert answer.status_code == 202
    assert answer.headers["RateLimit-Policy"] == '"length";q=9, "requests";q=3;w=30'
    assert answer.headers["RateLimit"] == '"length";r=8, "requests";r=2'
    answer = get(server, "/nothing", key)
    assert (answer.status_code, answer.headers["RateLimit"]) == (404, '"requests";r=1')
    get(server, "/tasks", key)
    answer = get(server, "/tasks", key)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "10")
    assert answer.headers["RateLimit"] == '"requests";r=0;t=10'
    assert get(server, "/healthz", key).status_code == 200


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        (("http.host=0.0.0.0",), "0.0.0.0 is beyond loopback"),
        (("auth.mode=keys",), "auth.mode is keys"),
    ],
)
def test_without_a_key_it_does_not_start_where_one_is_needed(
    tmp_path: Path, settings: tuple[str, ...], where: str
) -> None:
    overrides = [part for each in ("http.port=0", *settings) for part in ("--set", each)]
    for _ in range(2):
        refused = task_queue(tmp_path, "serve", *overrides)
        assert (refused.returncode, refused.stdout) == (2, "")
        (line,) = refused.stderr.splitlines()
        assert line.startswith(f"task-queue: {where}, so requests need a key, and there is none")
        assert "`task-queue keys create NAME --scope publish --scope read`" in line
        assert 'auth.mode = "open"' in line
        key = make_key(tmp_path, f"made-{_}", "--scope", "read")  # and one that does not hold
        assert task_queue(tmp_path, "keys", "revoke", key[3:19]).returncode == 0


@pytest.mark.parametrize("kind", ["database", "settings", "file", "environment", "open"])
def test_beyond_loopback_it_starts_with_any_key_or_when_told_to(
    serve: Serve, tmp_path: Path, kind: str
) -> None:
    key, settings, environ = "the-key-of-one-who-keeps-it-elsewhere", list[str](), {}
    match kind:
        case "database":
            key = make_key(tmp_path, "shop", "--scope", "read")
        case "settings":
            settings = [f"auth.keys.shop.key={key}", "auth.keys.shop.scopes=read"]
        case "file":
            file = tmp_path / "keys.toml"
            file.write_text(f'[shop]\nkey = "{key}"\nscopes = ["read"]\n')
            settings = ["auth.keys_file=keys.toml"]
        case "environment":
            environ = {
                "TASK_QUEUE_AUTH__KEYS__SHOP__KEY": key,
                "TASK_QUEUE_AUTH__KEYS__SHOP__SCOPES": "read,publish",
            }
        case _:
            settings = ["auth.mode=open"]
    server = serve("http.host=0.0.0.0", *settings)
    server.environ |= environ
    server.start()
    assert get(server, "/tasks").status_code == (200 if kind == "open" else 401)
    assert get(server, "/tasks", key).status_code == 200
    assert ('-H "Authorization: Bearer $KEY"' in "".join(server.output)) == (kind != "open")
    warned = [line for line in server.log if line["event"].startswith("whoever reaches this port")]
    assert len(warned) == (kind == "open")


def test_a_key_that_is_taken_out_of_the_file_is_refused_within_five_seconds(
    serve: Serve, tmp_path: Path
) -> None:
    file = tmp_path / "keys.toml"
    tables = [f'[{name}]\nkey = "{name * 40}"\nscopes = ["read"]\n' for name in "ab"]
    file.write_text("".join(tables))
    server = serve("auth.mode=keys", f"auth.keys_file={file}").start()
    assert get(server, "/tasks", "b" * 40).status_code == 200
    file.write_text(tables[0])
    eventually(lambda: get(server, "/tasks", "b" * 40).status_code == 401, "refused", 5.0)
    assert get(server, "/tasks", "a" * 40).status_code == 200
    file.write_text("[a")
    server.wait_for_log("keys read", count=1)
    eventually(
        lambda: (
            get(server, "/tasks", "a" * 40)
            and any(line["event"].startswith("keys refused") for line in server.log)
        ),
        "the wrong file is seen",
    )
    assert get(server, "/tasks", "a" * 40).status_code == 200


def test_where_none_is_needed_a_key_of_ours_is_judged_and_others_are_not(
    serve: Serve, tmp_path: Path
) -> None:
    key = make_key(tmp_path, "shop", "--scope", "publish")
    server = serve().start()
    server.wait_for_log(
        'there are keys or proxies, but no key is needed on loopback: auth.mode = "keys" makes'
        " them needed"
    )
    assert get(server, "/tasks").status_code == 200
    assert get(server, "/tasks", key).status_code == 403
    assert get(server, "/tasks", f"tq_{'0' * 16}_{'0' * 64}").status_code == 401
    for foreign in ("Basic dTpw", "Bearer eyJhbGciOiJub25lIn0.e30.", "Bearer", "Negotiate x"):
        answer = server.client.get("/tasks", headers={"Authorization": foreign})
        assert answer.status_code == 200, foreign


def test_a_database_that_says_nothing_lets_nobody_new_in(serve: Serve, tmp_path: Path) -> None:
    key = make_key(tmp_path, "shop", "--scope", "read")
    server = serve("auth.mode=keys").start()
    connection = sqlite3.connect(tmp_path / "data" / "tasks.db", isolation_level=None)
    connection.execute("ALTER TABLE api_keys RENAME TO gone")
    try:
        assert get(server, "/tasks", key).status_code in {500, 503}
    finally:
        connection.execute("ALTER TABLE gone RENAME TO api_keys")
        connection.close()
    assert get(server, "/tasks", key).status_code == 200
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
