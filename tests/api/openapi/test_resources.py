"""The description as the server shows it, to programs and to people."""

import json
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from openapi_spec_validator import validate

from task_queue.api.responses.problems import PROBLEMS
from task_queue.api.routes.table import OPERATIONS
from tests.api.test_reload import Configured, Serve
from tests.harness import ServerProcess

pytestmark = pytest.mark.system


class Page(HTMLParser):
    """What a page links to and holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in {"href", "src", "action"}:
                self.links.append(value or "")


def test_the_server_shows_a_valid_description_and_the_command_the_same(
    server: ServerProcess,
) -> None:
    answer = server.client.get("/openapi.json")
    assert answer.headers["Content-Type"] == "application/json"
    validate(answer.json())
    printed = subprocess.run(
        [*server.program, "openapi"],
        cwd=server.directory,
        env=server.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(printed.stdout) == answer.json()


def test_the_page_shows_each_operation_and_each_problem_and_has_all_it_links_to(
    server: ServerProcess,
) -> None:
    answer = server.client.get("/docs")
    assert answer.headers["Content-Type"].startswith("text/html")
    page = Page(answer.text)
    assert {each.operation_id for each in OPERATIONS} <= set(page.ids)
    assert {*PROBLEMS} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert {link.removeprefix("#") for link in page.links if link[:1] == "#"} <= set(page.ids)
    assert {link for link in page.links if link[:1] != "#"} == {"openapi.json"}


def test_the_page_has_no_scripts_and_its_policy_lets_none_run(server: ServerProcess) -> None:
    answer = server.client.get("/docs")
    assert Page(answer.text).tags.isdisjoint({"script", "img", "iframe", "form", "link"})
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert not re.search(r"unsafe|https?:|\*", policy)


def test_the_type_of_a_problem_leads_to_what_the_page_says_of_it(server: ServerProcess) -> None:
    kind = server.client.post("/tasks", json={}).json()["type"]
    path, _, anchor = kind.partition("#")
    assert anchor in Page(server.client.get(path).text).ids


def test_a_reload_changes_the_description(serve: Serve, tmp_path: Path) -> None:
    live = Configured(serve, tmp_path, "[builtin]\nfallback = false\n")
    before = live.server.client.get("/openapi.json")
    assert live.server.client.get("/openapi.json").content == before.content
    live.reload('[actions]\nresize = "tests.actions:resize"\n[queues.mail]\n')
    schemas = live.server.client.get("/openapi.json").json()["components"]["schemas"]
    publish = schemas["PublishBody"]["properties"]
    assert publish["action"]["enum"] == ["resize", "sum", "uppercase"]
    assert publish["queue"]["anyOf"][0]["enum"] == ["tasks", "mail"]
    assert schemas["data.resize"]["properties"]
    assert "data.resize" in live.server.client.get("/docs").text
