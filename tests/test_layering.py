"""The import contracts in `pyproject.toml` find what they are there to find."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import ROOT

WRONG_ARROWS = [
    ("actors/queue.py", "task_queue.actors.writer"),
    ("actors/queue.py", "task_queue.config.settings"),
    ("actors/runtime/actor.py", "task_queue.actors.clock"),
    ("actors/messages/queue.py", "task_queue.actors.runtime.actor"),
    ("actors/drivers/memory.py", "task_queue.actors.store.schema"),
    ("actors/tasks/states.py", "task_queue.actors.messages.base"),
    ("actors/errors.py", "task_queue.actors.tasks.states"),
    ("actors/tasks/limits.py", "task_queue.api.json_codec"),
    ("actors/supervisor.py", "sqlalchemy"),
    ("config/logs.py", "task_queue.actors.errors"),
    ("api/tasks.py", "task_queue.api.queues"),
    ("api/tasks.py", "task_queue.actors.writer"),
    ("api/app.py", "waitress"),
    ("api/app.py", "task_queue.api.server.serve"),
    ("api/responses/cursor.py", "task_queue.api.requests.bodies"),
]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package in a folder of its own, with the contracts beside it."""
    for name in ("actors", "api", "config"):
        shutil.copytree(
            ROOT / name,
            tmp_path / "task_queue" / name,
            ignore=shutil.ignore_patterns("__pycache__", "public"),
        )
    for file in (ROOT / "api" / "public").glob("*.*"):
        shutil.copy(file, tmp_path / "task_queue")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(folder: Path) -> tuple[int, str]:
    """The exit code, and what is said, without the breaks of its lines."""
    code = "from importlinter.cli import lint_imports_command as lint; lint()"
    done = subprocess.run(
        [sys.executable, "-c", code, "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def test_the_code_keeps_the_contracts(copy: Path) -> None:
    code, said = lint(copy)
    assert (code, "0 broken" in said) == (0, True), said


def test_each_wrong_arrow_is_found(copy: Path) -> None:
    for file, imported in WRONG_ARROWS:
        with (copy / "task_queue" / file).open("a") as source:
            source.write(f"\n\ndef late():\n    import {imported}\n")
    code, said = lint(copy)
    assert code == 1
    missing = [
        arrow
        for file, imported in WRONG_ARROWS
        if (arrow := f"task_queue.{file[:-3].replace('/', '.')} -> {imported}") not in said
    ]
    assert missing == []


def test_released_migrations_import_nothing_of_ours() -> None:
    # The linter passes over them: `0001_tasks` is no name that could be imported.
    versions = sorted((ROOT / "actors/store/migrations/versions").glob("0*.py"))
    assert versions
    imports = re.compile(r"^\s*(from|import) task_queue\b", re.MULTILINE)
    assert [path.name for path in versions if imports.search(path.read_text())] == []
