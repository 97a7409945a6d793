"""Tasks, dead letters and actions on the dashboard, as a browser without JavaScript sees them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from task_queue.api.ui import bulk_step, dead_letters
from tests.api.keys import make_key
from tests.api.ui.forms import Page, Visitor
from tests.harness import ServerProcess, put_database

pytestmark = pytest.mark.system

SETTINGS = (
    "actions.fail='tests.actions:fail'",
    "actions.resize='tests.actions:resize'",
    "queues.mail.concurrency=1",
    "queues.mail.max_attempts=1",
    "queues.later.concurrency=1",
    "queues.forgetful.driver=memory",
    "builtin.fallback=true",
)
LATER = 3_600


@pytest.fixture(scope="module")
def server(serve_all: Callable[..., ServerProcess]) -> ServerProcess:
    """A server with some actions."""
    return serve_all(*SETTINGS).start()


@pytest.fixture
def visitor(server: ServerProcess) -> Visitor:
    return Visitor(server.client)


def publish(server: ServerProcess, action: str = "sum", **members: object) -> str:
    """The id of a task that waits, unless told otherwise."""
    task = {"action": action, "delay_seconds": LATER} | members
    answer = server.client.post("/tasks", json=task)
    assert answer.is_success, answer.text
    return str(answer.json()["id"])


def dead(server: ServerProcess, message: str) -> str:
    """The id of a task that has died of this."""
    data = {"message": message}
    task_id = publish(server, "fail", data=data, queue="mail", delay_seconds=0)
    server.wait_for_status(task_id, "dead")
    return task_id


def ids(page: Page) -> list[str]:
    """The ids of the tasks on a page."""
    prefix = "/ui/tasks/"
    return [each.removeprefix(prefix) for each in page.all_links if each.startswith(prefix)]


def test_filters_stand_in_the_address(server: ServerProcess, visitor: Visitor) -> None:
    here = publish(server, queue="later", key="filters")
    publish(server, queue="later", key="other")
    form = visitor.open("/ui/tasks").forms[1]
    page = visitor.send(form, status=["scheduled", "queued"], queue="later", key="filters")
    assert ids(page) == [here]
    filters = {"status": "scheduled,queued", "queue": "later", "key": "filters"}
    assert dict(page.answer.url.params) == filters
    assert "1 task on this page." in page.text
    without = visitor.open(page.links["Remove the filter key"])
    assert len(ids(without)) == 2


def test_a_search_understands_what_is_written(server: ServerProcess, visitor: Visitor) -> None:
    task_id = publish(server, key="k-1", unique_key="u-1", data={"user": 17, "at": {"x": "y z"}})
    died = dead(server, "searched for this text")

    def found(text: str) -> Page:
        return visitor.send(visitor.open("/ui/tasks").forms[0], search=text)

    assert found(task_id).title == "sum scheduled"
    for text in ("k-1", "u-1", "data.user=17", 'data.at.x="y z" status=scheduled', "key:k-1"):
        assert ids(found(text)) == [task_id], text
    assert ids(found("searched for this")) == [died]
    assert "No tasks match." in found("nobody has written this").text


def test_a_wrong_filter_is_named_on_the_page(visitor: Visitor) -> None:
    page = visitor.open("/ui/tasks?queue=nowhere")
    assert page.answer.status_code == 400
    assert "queue 'nowhere' is not known" in page.text
    assert page.forms[1].fields["queue"] == ["nowhere"]


def test_pages_lead_on_and_back(server: ServerProcess, visitor: Visitor) -> None:
    published = [publish(server, queue="later", action="paged") for _ in range(5)]
    first = visitor.open("/ui/tasks?action=paged&limit=2")
    second = visitor.open(first.links["Next page"])
    third = visitor.open(second.links["Next page"])
    assert [*ids(first), *ids(second), *ids(third)] == published[::-1]
    assert "Next page" not in third.links
    back = visitor.open(third.links["Previous page"])
    assert ids(back) == ids(second)
    assert ids(visitor.open(back.links["Previous page"])) == ids(first)
    assert ids(visitor.open(third.links["Newest"])) == ids(first)


def test_a_task_shows_what_became_of_it(server: ServerProcess, visitor: Visitor) -> None:
    task_id = dead(server, "no user 17")
    page = visitor.open(f"/ui/tasks/{task_id}")
    assert page.title == "fail dead"
    for text in ("ValueError: no user 17", "Attempt 1", "Traceback", "Attempts 1 of 1"):
        assert text in page.text
    assert page.links["mail"] == "/ui/queues/mail"
    group = visitor.open(page.links["All dead tasks with this error"])
    assert task_id in ids(group)


def test_a_task_leads_to_what_tells_how_it_ended(migrated_file: Path, tmp_path: Path) -> None:
    put_database(migrated_file, tmp_path)
    mailer = make_key(tmp_path, "mailer", "--scope", "read", "--queue", "mail")
    settings = (f"callbacks.secret={'s' * 32}", "callbacks.allow_networks=127.0.0.0/8")
    server = ServerProcess(tmp_path, *SETTINGS, *settings)
    try:
        visitor = Visitor(server.start().client)
        callback = f"{server.client.base_url}/healthz"
        task_id = publish(server, queue="mail", delay_seconds=0, callback=callback)
        server.wait_for_status(task_id, "completed")
        # Anybody who may publish can name the same subject.
        publish(server, "whatever", queue="callbacks", data={"subject": task_id})
        page = visitor.open(f"/ui/tasks/{task_id}")
        told = visitor.open(page.links["task.completed"])
        assert told.links[task_id] == f"/ui/tasks/{task_id}"
        assert page.text.partition("Callbacks")[2].count("task.completed") == 1
        server.client.headers["Authorization"] = f"Bearer {mailer}"
        restricted = visitor.open(f"/ui/tasks/{task_id}")
        assert restricted.answer.status_code == 200
        assert "task.completed" not in restricted.links
    finally:
        server.close()


def test_there_is_a_page_for_a_task_that_is_not_there(visitor: Visitor) -> None:
    page = visitor.open("/ui/tasks/0190f6a2-7c3e-7f00-8000-000000000001")
    assert page.answer.status_code == 404
    assert "There is no task" in page.text


@pytest.mark.parametrize(
    ("verb", "words", "status"),
    [("Cancel…", "The task was cancelled", "cancelled"), ("Retry…", "back on its queue", None)],
)
def test_a_task_is_changed_after_one_question(
    server: ServerProcess, visitor: Visitor, verb: str, words: str, status: str | None
) -> None:
    task_id = publish(server) if status else dead(server, "to be retried")
    question = visitor.open(visitor.open(f"/ui/tasks/{task_id}").links[verb])
    assert question.title == f"{verb[:-1]} this task?"
    if status:
        assert server.task(task_id)["status"] == "scheduled"
    page = visitor.send(question.form(f"/ui/tasks/{task_id}/{verb[:-1].lower()}"))
    assert words in page.text
    server.wait_for_status(task_id, status or "dead")
    assert len(server.task(task_id)["attempts"]) == (0 if status else 2)


def test_a_task_is_deleted_after_one_question(server: ServerProcess, visitor: Visitor) -> None:
    task_id = dead(server, "to be deleted")
    question = visitor.open(f"/ui/tasks/{task_id}/delete")
    assert "gone for good" in question.text
    page = visitor.send(question.form(f"/ui/tasks/{task_id}/delete"))
    assert (page.title, "The task was deleted." in page.text) == ("Tasks", True)
    assert server.client.get(f"/tasks/{task_id}").status_code == 404


def test_selected_tasks_are_changed_together(server: ServerProcess, visitor: Visitor) -> None:
    chosen = [publish(server, "selected"), publish(server, "selected")]
    other, died = publish(server, "selected"), dead(server, "selected too")
    form = visitor.open("/ui/tasks?action=selected").form("/ui/bulk")
    question = visitor.send(form, id=[*chosen, died], do="cancel")
    assert question.title == "Cancel 2 tasks?"
    assert "Of the 3 that are selected" in question.text
    done = visitor.send(question.form("/ui/bulk/step"))
    assert "2 tasks cancelled, 1 passed over" in done.text
    assert [server.task(each)["status"] for each in chosen] == ["cancelled"] * 2
    assert server.task(other)["status"] == "scheduled"
    assert done.links["Back"] == "/ui/tasks?action=selected"


def test_nothing_selected_is_nothing_changed(visitor: Visitor) -> None:
    page = visitor.send(visitor.open("/ui/tasks?queue=tasks").form("/ui/bulk"), do="delete")
    assert "Nothing was selected" in page.text


def test_all_that_match_are_changed_step_by_step(server: ServerProcess, visitor: Visitor) -> None:
    count = bulk_step.STEP + 5
    task = {"action": "stepwise", "delay_seconds": LATER}
    server.client.post("/tasks/batch", json={"tasks": [task] * count})
    form = visitor.open("/ui/tasks?action=stepwise").form("/ui/bulk")
    question = visitor.send(form, of="filter", do="cancel")
    assert question.title == f"Cancel {count} tasks?"
    step = visitor.send(question.form("/ui/bulk/step"))
    assert f"{bulk_step.STEP} tasks cancelled so far." in step.text
    done = visitor.send(step.form("/ui/bulk/step"))
    assert f"{count} tasks cancelled." in done.text
    assert not done.forms
    again = visitor.send(step.form("/ui/bulk/step"))  # sent twice, it finds nothing to do
    assert f"{bulk_step.STEP} tasks cancelled." in again.text
    left = server.client.get("/tasks", params={"action": "stepwise", "status": "scheduled"})
    assert left.json()["count"] == 0


def test_a_step_that_nobody_has_made_is_refused(visitor: Visitor) -> None:
    question = visitor.open("/ui/tasks?queue=tasks").form("/ui/bulk")
    for wrong in ({"total": "x"}, {"do": "explode"}):
        made = {"do": "cancel", "total": "1", "done": "0", "skipped": "0"} | wrong
        question.action, question.fields = "/ui/bulk/step", question.fields | _listed(made)
        assert visitor.send(question).answer.status_code == 400


def _listed(fields: dict[str, str]) -> dict[str, list[str]]:
    return {name: [value] for name, value in fields.items()}


def test_actions_are_listed_with_what_they_do(visitor: Visitor) -> None:
    page = visitor.open("/ui/actions")
    assert "Add up the areas." in page.text
    assert page.links["resize"] == "/ui/actions/resize"


def test_a_form_of_an_action_publishes_a_task(server: ServerProcess, visitor: Visitor) -> None:
    form = visitor.open("/ui/actions/resize").form("/ui/actions/resize")
    sizes = '[{"width": 3, "height": 2}]'
    changed: dict[str, Any] = {"data.sizes": sizes, "queue": '"mail"', "priority": "7"}
    page = visitor.send(form, **changed)
    assert "The task was published." in page.text
    (task_id,) = {page.answer.url.path.rpartition("/")[2]}
    task = server.wait_for_status(task_id, "completed")
    assert (task["result"], task["queue"], task["priority"]) == ({"area": 6}, "mail", 7)
    twice = visitor.send(form, **changed)
    assert twice.answer.url.path.endswith(task_id)
    other = visitor.send(form, **changed | {"priority": "8"})
    assert "was sent before with another request" in other.text
    new = visitor.send(other.form("/ui/actions/resize"))
    assert "The task was published." in new.text


@pytest.mark.parametrize(
    ("changed", "field", "words"),
    [
        ({"data.sizes": "[{}]"}, "data.sizes", "data.sizes[0].width: is missing"),
        ({"data.sizes": "[{"}, "data.sizes", "data.sizes: this is not valid JSON"),
        ({"data.sizes": "[]", "priority": "high"}, "priority", "priority must be a whole number"),
        ({"data.sizes": "[]", "run_at": "soon"}, "run_at", "run_at must be a time"),
    ],
)
def test_an_error_stands_at_its_field(
    visitor: Visitor, changed: dict[str, Any], field: str, words: str
) -> None:
    form = visitor.open("/ui/actions/resize").form("/ui/actions/resize")
    page = visitor.send(form, **changed)
    assert page.answer.status_code == 400
    at = page.answer.text.partition(f'id="{field}-error">')[2].partition("<")[0]
    assert words in at
    again = page.form("/ui/actions/resize")
    assert again.fields[field] == [changed[field]]


def test_a_task_is_published_again(server: ServerProcess, visitor: Visitor) -> None:
    data = {"sizes": [{"width": 2}]}
    task_id = publish(server, "resize", data=data, priority=3, queue="later", delay_seconds=0)
    page = visitor.open(visitor.open(f"/ui/tasks/{task_id}").links["Publish again…"])
    published = visitor.send(page.form("/ui/actions/resize"))
    task = server.task(published.answer.url.path.rpartition("/")[2])
    assert task["id"] != task_id
    assert (task["payload"]["data"], task["priority"], task["queue"]) == (data, 3, "later")


def test_what_is_published_to_a_queue_in_memory_leads_to_that_queue(visitor: Visitor) -> None:
    form = visitor.open("/ui/actions/sum").form("/ui/actions/sum")
    page = visitor.send(form, data="{}", queue='"forgetful"')
    assert (page.title, page.answer.status_code) == ("Queue forgetful", 200)
    assert "The task was published." in page.text


def test_what_no_form_can_hold_is_published_again_as_json(
    server: ServerProcess, visitor: Visitor
) -> None:
    data = {"any": {"thing": [1, None]}}
    task_id = publish(server, "whatever", data=data)
    form = visitor.open(f"/ui/actions/whatever?from={task_id}").form("/ui/actions/whatever")
    published = visitor.send(form)
    assert server.task(published.answer.url.path.rpartition("/")[2])["payload"]["data"] == data


def test_dead_tasks_with_the_same_error_are_one_group(
    server: ServerProcess, visitor: Visitor
) -> None:
    died = [dead(server, f"grouped {number}") for number in range(3)]
    page = visitor.open("/ui/dead-letters?queue=mail")
    label = "ValueError: grouped #"
    assert sorted(ids(visitor.open(page.links[label]))) == sorted(died)
    question = visitor.open(page.links[f"Redrive {label}"])
    assert question.title == "Redrive 3 tasks?"
    assert all(len(server.task(each)["attempts"]) == 1 for each in died)
    done = visitor.send(question.form(f"{dead_letters.DEAD_LETTERS}/redrive"), per_second="100")
    assert "3 tasks put back on their queues." in done.text
    for each in died:
        server.wait_for_status(each, "dead")
        assert len(server.task(each)["attempts"]) == 2


def test_a_key_that_may_only_read_changes_nothing(migrated_file: Path, tmp_path: Path) -> None:
    put_database(migrated_file, tmp_path)
    keys = {scope: make_key(tmp_path, scope, "--scope", scope) for scope in ("read", "admin")}
    server = ServerProcess(tmp_path, "auth.mode=keys")
    try:
        server.start()
        server.client.headers["Authorization"] = f"Bearer {keys['admin']}"
        task_id = publish(server)
        form = Visitor(server.client).open("/ui/tasks").form("/ui/bulk")
        server.client.headers["Authorization"] = f"Bearer {keys['read']}"
        visitor = Visitor(server.client)
        page = visitor.open(f"/ui/tasks/{task_id}")
        assert page.title == "sum scheduled"
        assert not {"Cancel…", "Publish again…"} & set(page.links)
        assert "Change several" not in visitor.open("/ui/tasks").text
        assert "may not publish" in visitor.open("/ui/actions/sum").text
        form.fields["token"] = visitor.open(f"/ui/tasks/{task_id}/cancel").forms[0].fields["token"]
        refused = visitor.send(form, id=task_id, do="cancel")
        assert refused.answer.status_code == 403
        assert "takes a key with the scope operate" in refused.text
    finally:
        server.close()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"per_second": "nan"}, "Per_second must be"),
        ({"per_second": "inf"}, "Per_second must be"),
        ({"per_second": "soon"}, "Per_second must be"),
        ({"total": "many"}, "The form cannot be read"),
        ({"total": ""}, "The form cannot be read"),
    ],
)
def test_a_redrive_that_cannot_be_understood_is_none(
    server: ServerProcess, visitor: Visitor, wrong: dict[str, str], words: str
) -> None:
    task_id = dead(server, f"redriven {' '.join(wrong)} {' '.join(wrong.values())}")
    group = visitor.open(f"/ui/tasks/{task_id}").links["All dead tasks with this error"]
    path = f"{dead_letters.DEAD_LETTERS}/redrive"
    question = visitor.open(group.replace("/ui/tasks", path))
    page = visitor.send(question.form(path), **wrong)
    assert page.answer.status_code == 400
    assert words in page.text
    assert server.task(task_id)["status"] == "dead"
