"""The pages name what is there: targets of make, settings, actions, URLs."""

import ast
import re
import tomllib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from falcon.inspect import inspect_routes

from task_queue.actors.system import ActorSystem
from task_queue.api.app import create_app
from task_queue.api.edge import Edge
from task_queue.config.actions import KINDS
from task_queue.config.layers import load
from task_queue.config.reference import page as settings_page
from task_queue.config.sections import ScheduleSettings
from task_queue.config.settings import KeySettings
from tests.docs.pages import PAGES, blocks, examples, files, page_id
from tests.docs.test_commands import save
from tests.harness import ROOT

RUN = [page for page in PAGES if examples(page.read_text("utf-8"))]
"""The pages that show commands."""

every_page_that_is_run = pytest.mark.parametrize("page", RUN, ids=page_id)


def test_the_pages_that_are_run_are_these() -> None:
    names = (
        *("access", "actions", "backup", "client", "command-line", "events", "http"),
        *("operations", "tutorial", "workers"),
    )
    shown = ["README.md", *(f"docs/{name}.md" for name in names)]
    assert [page_id(page) for page in RUN] == shown


def test_every_target_of_make_that_the_pages_name_is_there() -> None:
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:`|^    (?:\$ )?(?:\S+ )?)make (\w+)", text, re.MULTILINE))
    assert named
    assert named - targets == set()


@every_page_that_is_run
def test_every_file_of_settings_on_the_page_loads_and_is_used(page: Path, tmp_path: Path) -> None:
    text = page.read_text("utf-8")
    for file in files(text):
        save(tmp_path, file)
    for number, block in enumerate(each for each in blocks(text) if each.language == "toml"):
        (path := tmp_path / f"{number}.toml").write_text(block.text)
        settings = load(path, environ={}).settings
        for name in {*settings.queues, *settings.actions} - {"tasks", "callbacks"}:  # always there
            # In a body, or as what the command line runs.
            assert re.search(f'"{name}"|task-queue run {name} ', text), (
                f"nothing is shown of {name}"
            )


@every_page_that_is_run
def test_every_function_on_the_page_is_an_action_of_its_settings(page: Path) -> None:
    shown = files(page.read_text("utf-8"))
    settings = [tomllib.loads(file.text) for file in shown if file.name.endswith(".toml")]
    actions = [action for each in settings for action in each.get("actions", {}).values()]
    targets = [each if isinstance(each, str) else each.get("python") for each in actions]
    named = set(filter(None, targets))
    defined = {
        f"{file.name.removesuffix('.py').replace('/', '.')}:{node.name}"
        for file in shown
        if file.name.endswith(".py") and not file.name.startswith("test_")
        for node in ast.parse(file.text).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name != "main"
    }
    assert defined == named


@every_page_that_is_run
def test_all_python_on_the_page_is_in_files_that_its_commands_run(page: Path) -> None:
    text = page.read_text("utf-8")
    python = [f"{block.text}\n" for block in blocks(text) if block.language == "python"]
    assert python == [file.text for file in files(text) if file.name.endswith(".py")]


def test_a_page_lists_every_url() -> None:
    settings = load(environ={}).settings
    system = ActorSystem(settings, on_too_many_restarts=lambda: None)
    routes = inspect_routes(create_app(Edge(system, 1.0), settings.http))
    served = {
        f"{method.method} {route.path.replace('task_id', 'id')}"
        for route in routes
        for method in route.methods
        if not method.internal and method.method != "HEAD"
    }
    text = section("http.md", "Requests and answers")
    listed = set(re.findall(r"`((?:GET|POST|PUT|DELETE) /[^`?\s]*)", text))
    assert listed == served


def test_the_page_of_the_settings_is_current() -> None:
    shown = (ROOT / "docs" / "settings.md").read_text("utf-8")
    assert shown == settings_page(), (
        "write it anew: .venv/bin/python -m task_queue.config.reference > docs/settings.md"
    )


def test_the_page_of_the_settings_lists_each_with_its_default() -> None:
    defaults = resources.files("task_queue.config").joinpath("default.toml").read_text("utf-8")
    text = (ROOT / "docs" / "settings.md").read_text("utf-8")
    rows = [line.split("|") for line in text.splitlines() if line[:3] == "| `"]
    shown = {row[1].strip(" `"): row[2].strip(" `") for row in rows}
    real = {
        key: f"{value:g}"
        if isinstance(value, float)
        else str(value).replace("True", "true").replace("False", "false")
        for key, value in flat(tomllib.loads(defaults))
    }
    own = {
        *(f"actions.<name>.{key}" for kind in KINDS.values() for key in kind.model_fields),
        *(f"schedules.<name>.{key}" for key in ScheduleSettings.model_fields),
        *(f"auth.keys.<name>.{key}" for key in KeySettings.model_fields),
        "auth.keys",
    }
    assert {key: value for key, value in shown.items() if key not in own} == real
    assert own <= set(shown)
    assert all(row[-2].strip() for row in rows)


def section(page: str, title: str) -> str:
    """The page's section by that title."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values by their dotted keys."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
