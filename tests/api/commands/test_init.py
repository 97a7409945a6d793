"""`task-queue init`: what it writes and prints works as it stands."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from task_queue.config.layers import effective, load
from tests.commands import command
from tests.harness import DEADLINE_SECONDS, free_port

pytestmark = pytest.mark.system


def test_the_next_commands_work_as_they_are_printed(tmp_path: Path) -> None:
    said = command(tmp_path, "init", "my shop")
    cd, serve, curl, _ = (line.strip() for line in said.splitlines() if line.startswith("  "))
    assert cd == "cd 'my shop'"
    assert "A browser shows it all at http://localhost:8080/" in said
    program, *rest = shlex.split(serve)
    assert rest == ["serve", "--config", "task-queue.toml", "--reload"]
    directory = tmp_path / "my shop"
    # Its port may be another test's; all else is as printed.
    port = free_port()
    server = subprocess.Popen(
        ["sh", "-c", f"{cd} && exec {serve} --set http.port={port}"],
        cwd=tmp_path,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program
    try:
        assert server.stdout is not None
        assert "listens on" in server.stdout.readline()
        there = curl.replace("8080", str(port)).replace("--json", "-s -H 'Prefer: wait=20' --json")
        shown = subprocess.run(
            ["sh", "-c", there],
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=True,
        )
        assert '"result":{"greeting":"Hello, you!"}' in shown.stdout
    finally:
        server.terminate()
        with server:
            server.wait(DEADLINE_SECONDS)
    assert server.returncode == 0
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert "1 passed" in tested.stdout, tested.stdout


def test_what_it_sets_is_what_holds_anyway_but_for_the_action(tmp_path: Path) -> None:
    command(tmp_path, "init")
    path = tmp_path / "task-queue.toml"
    mine = {(key, value) for key, value, _ in effective(load(path, environ={}))}
    default = {(key, value) for key, value, _ in effective(load(environ={}))}
    assert {key.partition(".")[0] for key, _ in mine - default} == {"actions"}


def test_it_writes_over_nothing(tmp_path: Path) -> None:
    (tmp_path / "jobs.py").write_text("mine")
    said = command(tmp_path, "init", code=1)
    assert said == "jobs.py is there already, and is left alone: nothing was written\n"
    assert [path.name for path in tmp_path.iterdir()] == ["jobs.py"]
    assert (tmp_path / "jobs.py").read_text() == "mine"
    said = command(tmp_path, "init", "jobs.py/below", code=1)
    assert said == "cannot write in the directory jobs.py/below: Not a directory\n"
