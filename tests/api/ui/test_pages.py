"""The pages of the dashboard as a server answers them, where nobody needs a key."""

from collections.abc import Iterator

import httpx
import pytest

from tests.api.answers import problem
from tests.api.servers import DATABASES, server_on
from tests.api.ui.pages import hidden_of, said_after, submit, token_of, words_of
from tests.harness import ServerProcess, eventually

pytestmark = pytest.mark.system

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PAGES = [
    "/ui/",
    "/ui/queues/tasks",
    "/ui/queues/tasks/pause",
    "/ui/schedules",
    "/ui/schedules/set",
    "/ui/schedules/nightly",
    "/ui/schedules/nightly/change",
    "/ui/schedules/nightly/run",
    "/ui/new-schedule",
    "/ui/nodes",
    "/ui/audit",
    "/ui/login",
]
NIGHTLY = {"cron": "0 3 * * *", "task": {"action": "sum", "data": {"numbers": [1]}}}


@pytest.fixture(scope="module", params=DATABASES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    settings = (
        "queues.held.concurrency=1",
        "queues.held.rate_limit=0.001",
        "schedules.set={cron='0 3 * * *', task={action='sum'}}",
    )
    with server_on(request, tmp_path_factory, *settings) as server:
        server.client.put("/schedules/nightly", json=NIGHTLY)
        yield server


@pytest.fixture
def client(server: ServerProcess) -> httpx.Client:
    return server.client


@pytest.mark.parametrize("path", [*PAGES, "/ui/tasks", "/ui/nowhere"])
def test_the_head_of_a_page_is_there_without_it(client: httpx.Client, path: str) -> None:
    head, page = client.head(path), client.get(path)
    assert (head.status_code, head.content) == (page.status_code, b"")
    for name in ("Content-Type", "Content-Security-Policy", "Cache-Control"):
        assert head.headers[name] == page.headers[name]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_loads_nothing_but_files_of_the_server(client: httpx.Client, path: str) -> None:
    page = client.get(path)
    assert page.status_code == 200
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for forbidden in ("<style", " style=", "onclick=", "<script>", 'src="http', 'href="http'):
        assert forbidden not in page.text
    assert page.headers["Cache-Control"] == "no-store"


def test_a_browser_is_led_from_the_root_and_others_are_not(client: httpx.Client) -> None:
    led = client.get("/", headers=HTML)
    assert (led.status_code, led.headers["Location"]) == (303, "/ui/")
    assert client.get("/ui").headers["Location"] == "/ui/"
    assert problem(client.get("/"), 404, "not found")
    assert problem(client.post("/", headers=HTML), 404, "not found")


def test_files_stay_in_the_browser_for_ever(client: httpx.Client) -> None:
    page = client.get("/ui/").text
    path = page.partition('rel="stylesheet" href="')[2].partition('"')[0]
    file = client.get(path)
    assert file.headers["Content-Type"].startswith("text/css")
    assert "immutable" in file.headers["Cache-Control"]
    again = client.get(path, headers={"If-None-Match": file.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    for wrong in (f"{path}x", path.replace("/static/", "/static/0"), "/ui/static/x/..%2fframe.py"):
        assert client.get(wrong).status_code == 404


def test_what_is_not_there_is_a_page_as_well(client: httpx.Client) -> None:
    for path in ("/ui/nowhere", "/ui/queues/none", "/ui/schedules/none", "/ui/queues/tasks/"):
        page = client.get(path)
        assert page.status_code == 404
        assert "there is no" in words_of(page).lower()


def test_the_overview_shows_queues_nodes_and_schedules(client: httpx.Client) -> None:
    eventually(lambda: "alive" in words_of(client.get("/ui/")), "the node says that it lives")
    words = words_of(client.get("/ui/"))
    for part in ("All is well", "tasks", "held", "alive", "3 consumers", "nightly", "in "):
        assert part in words
    assert 'aria-label="Last hour: ' in client.get("/ui/").text


def test_a_queue_says_why_its_tasks_wait(client: httpx.Client) -> None:
    for _ in range(2):
        client.post("/tasks", json={"action": "sum", "queue": "held"})
    said = "Why tasks wait At most 0.001 tasks per second start (rate_limit)."
    eventually(lambda: said in words_of(client.get("/ui/queues/held")), "the queue says why")
    client.post("/queues/held/purge")


def test_a_queue_is_paused_resumed_and_purged_after_a_question(
    server: ServerProcess, client: httpx.Client
) -> None:
    path = "/ui/queues/held"
    assert "Pause the queue held?" in words_of(client.get(f"{path}/pause"))
    said = said_after(client, submit(client, f"{path}/pause"))
    assert said == "The queue held is paused."
    assert client.get("/queues/held").json()["paused"]
    for _ in range(2):
        client.post("/tasks", json={"action": "sum", "queue": "held"})
    assert "2 tasks will be cancelled" in words_of(client.get(f"{path}/purge"))
    said = said_after(client, submit(client, f"{path}/purge"))
    assert said == "Purged the queue held: 2 tasks cancelled."
    assert "held hands out tasks again" in said_after(client, submit(client, f"{path}/resume"))
    assert not client.get("/queues/held").json()["paused"]
    done = [each["what"] for each in client.get("/audit?limit=10").json()["entries"]]
    assert {"pause_queue", "purge_queue", "resume_queue"} <= set(done)
    assert server.alive


def test_a_schedule_is_made_changed_and_deleted(client: httpx.Client) -> None:
    form = {
        "name": "hourly",
        "kind": "cron",
        "cron": "0 * * * *",
        "timezone": "Europe/Berlin",
        "missed": "once",
        "expires_after_seconds": "90",
        "action": "sum",
        "queue": "tasks",
        "data": '{"numbers": [1, 2]}',
        "rest": '{"priority": 3}',
    }
    said = said_after(client, submit(client, "/ui/new-schedule", **form))
    assert said == "The schedule hourly is made."
    made = client.get("/schedules/hourly").json()
    assert (made["cron"], made["timezone"], made["missed"]) == (
        "0 * * * *",
        "Europe/Berlin",
        "once",
    )
    assert made["expires_after_seconds"] == 90
    assert (made["task"]["data"], made["task"]["priority"]) == ({"numbers": [1, 2]}, 3)
    twice = submit(client, "/ui/new-schedule", **form)
    assert twice.status_code == 422
    assert "There is a schedule hourly already" in words_of(twice)

    change = "/ui/schedules/hourly/change"
    assert "0 * * * *" in client.get(change).text
    every = form | {"kind": "every", "every": "15m"}
    assert "is changed" in said_after(client, submit(client, change, **every))
    assert client.get("/schedules/hourly").json()["every"] == "15m"

    said = said_after(client, submit(client, "/ui/schedules/hourly/delete"))
    assert said == "The schedule hourly is deleted."
    assert client.get("/schedules/hourly").status_code == 404


def test_a_schedule_is_run_now_and_leads_to_its_task(
    server: ServerProcess, client: httpx.Client
) -> None:
    path = "/ui/schedules/nightly/run"
    before = client.get("/schedules/nightly").json()["next"]
    assert "One task of the action sum is published at once." in words_of(client.get(path))
    ran = submit(client, path)
    task_id = ran.headers["Location"].partition("?")[0].removeprefix("/ui/tasks/")
    assert said_after(client, ran) == "The schedule nightly has published this task."
    server.wait_for_status(task_id, "completed")
    assert client.get("/schedules/nightly").json()["next"] == before


def test_a_schedule_whose_run_is_confirmed_twice_publishes_once(client: httpx.Client) -> None:
    path = "/ui/schedules/nightly/run"
    form = hidden_of(client, path)
    answers = [client.post(path, data=form), client.post(path, data=form), submit(client, path)]
    first, second, other = (each.headers["Location"].partition("?")[0] for each in answers)
    assert second == first
    assert other != first


@pytest.mark.parametrize(
    ("field", "wrong", "says"),
    [
        ("name", "a b", "A schedule's name must have"),
        ("name", "", "A schedule's name must have"),
        ("cron", "99 * * * *", "99"),
        ("timezone", "Nowhere/Town", "Nowhere/Town"),
        ("data", "{", "The data: this is not valid JSON"),
        ("data", "[1]", "must be a JSON object"),
        ("data", '{"a": NaN}', "not valid JSON"),
        ("data", '{"a": "\\ud800"}', "not valid JSON"),
        ("data", '{"a": 1, "a": 2}', "is given twice in one object"),
        ("data", f'{{"a": {"9" * 30}}}', "does not fit in signed 64 bits"),
        ("data", "[" * 200 + "]" * 200, "more than 100 levels"),
        ("data", "[" * 5_000 + "]" * 5_000, "not valid JSON"),
        ("rest", '{"speed": 3}', "speed"),
        *(
            ("expires_after_seconds", each, "must be a number from 1 to 31536000, not")
            for each in ("soon", "nan", "1e999")
        ),
        ("queue", "none", "none"),
    ],
)
def test_a_form_that_is_wrong_is_shown_again_with_what_is_wrong(
    client: httpx.Client, field: str, wrong: str, says: str
) -> None:
    form = {"name": "wrong", "kind": "cron", "cron": "0 3 * * *", "action": "sum"}
    page = submit(client, "/ui/new-schedule", **form | {field: wrong})
    assert page.status_code == 422
    assert says in words_of(page).partition("When")[0]
    assert 'value="sum"' in page.text  # nothing has to be typed again
    assert client.get("/schedules/wrong").status_code == 404


def test_a_schedule_of_the_settings_is_not_offered_for_a_change(client: httpx.Client) -> None:
    page = client.get("/ui/schedules/set")
    assert "in the settings" in words_of(page)
    assert "/ui/schedules/set/delete" not in page.text
    refused = submit(client, "/ui/schedules/set/delete")
    assert refused.status_code == 409
    assert "settings" in words_of(refused)


@pytest.mark.parametrize("token", [None, "", "x", "é"])
def test_a_form_without_its_token_changes_nothing(client: httpx.Client, token: str | None) -> None:
    data = {} if token is None else {"token": token}
    answer = client.post("/ui/queues/tasks/pause", data=data)
    assert answer.status_code == 403
    assert "The form is too old" in words_of(answer)
    assert "another origin" not in words_of(answer)
    assert not client.get("/queues/tasks").json()["paused"]


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}],
)
def test_a_form_of_another_origin_changes_nothing(
    client: httpx.Client, headers: dict[str, str]
) -> None:
    path = "/ui/queues/tasks/pause"
    token = token_of(client, path)
    answer = client.post(path, data={"token": token}, headers=headers)
    assert answer.status_code == 403
    assert "another origin" in words_of(answer)
    assert not client.get("/queues/tasks").json()["paused"]


def test_another_origin_leaves_no_entry_in_the_audit_log(client: httpx.Client) -> None:
    page = client.get("/ui/audit", headers={"Sec-Fetch-Site": "cross-site"})
    assert page.status_code == 403


def test_what_cannot_be_a_form_is_refused(client: httpx.Client) -> None:
    path = "/ui/queues/tasks/pause"
    for body in (b"token=%ff", b"\xff", b"&".join([b"a=b"] * 6_000)):
        answer = client.post(path, content=body)
        assert answer.status_code in {400, 403}, answer.text


def test_what_is_said_cannot_be_made_up(client: httpx.Client) -> None:
    page = client.get("/ui/?said=Call+0800+now")
    assert page.status_code == 200
    assert "0800" not in page.text


def test_no_client_can_say_who_it_is(server: ServerProcess, client: httpx.Client) -> None:
    headers = {"task_queue.caller": "root", "Task-Queue-Caller": "root"}
    answer = client.get("/ui/nodes", headers=headers)
    assert answer.status_code == 200
    assert server.alive


def test_text_of_users_is_text_on_pages(client: httpx.Client) -> None:
    evil = "<script>alert(1)</script>"
    body = NIGHTLY | {"task": {"action": "sum", "data": {"text": evil}}}
    client.put("/schedules/evil", json=body)
    page = client.get("/ui/schedules/evil")
    client.delete("/schedules/evil")
    assert evil not in page.text
    assert evil in words_of(page)


def test_the_audit_log_is_read_by_who_and_what_and_page(client: httpx.Client) -> None:
    for _ in range(101):
        client.delete("/schedules/no-such-schedule")
    page = client.get("/ui/audit", params={"what": "delete_schedule"})
    assert "list_audit" not in words_of(page)
    path = page.text.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0]
    older = client.get(path.replace("&amp;", "&"))
    assert "delete_schedule" in words_of(older)
    nobody = client.get("/ui/audit", params={"who": "nobody"})
    assert "Nobody has done that." in words_of(nobody)
