from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.docs.curl import needs_curl
from tests.examples.project import SERVE, Project

pytestmark = pytest.mark.system


@needs_curl
def test_its_page_shows_what_happens(project: Callable[[str], Project]) -> None:
    example = project("nightly_report")
    sell, serve, *rest = example.commands
    assert (sell.command, serve.command) == ("python sell.py", SERVE)
    example.follow([sell], {})
    with example.server() as server:
        example.follow(rest, {"8080": str(server.client.base_url.port)})


def test_the_schedule_is_due_in_the_next_night_and_its_task_reports_yesterday(
    project: Callable[[str], Project],
) -> None:
    example = project("nightly_report")
    example.run("python sell.py")
    with example.server() as server:
        now = datetime.now(ZoneInfo("Europe/Berlin"))
        schedule = server.client.get("/schedules/nightly-report").json()
        published = server.client.post("/tasks", json=schedule["task"]).json()
        task = server.wait_for_status(published["id"], "completed")
    first, second, *_ = map(datetime.fromisoformat, schedule["next"])
    assert now < first < now + timedelta(hours=25)
    assert (second.date() - first.date()).days == 1
    assert task["result"]["products"] == 0
    assert (example.directory / task["result"]["file"]).read_text() == "product,sold,cents\n"
