"""Keys as users make them: with `task-queue keys`, as a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import httpx

from tests.harness import DEADLINE_SECONDS, ROOT, ServerProcess


def task_queue(
    directory: Path, *arguments: str, url: str | None = None, **environ: str
) -> "subprocess.CompletedProcess[str]":
    """What `task-queue` with these arguments says, in a directory and on a database of it.

    Args:
        directory: Where it runs.
        arguments: What is typed.
        url: The database; none: the default.
        environ: Added to the environment.
    """
    chosen = ("--set", f"database.url={url}") if url else ()
    return subprocess.run(
        [sys.executable, "-m", "task_queue", *arguments, *chosen],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )


def make_key(directory: Path, name: str, *options: str, url: str | None = None) -> str:
    """A new key."""
    made = task_queue(directory, "keys", "create", name, *options, url=url)
    assert made.returncode == 0, made.stderr
    (key,) = made.stdout.splitlines()
    assert key not in made.stderr
    return key


def url_of(server: ServerProcess) -> str | None:
    """The database that the server was given; None: the default."""
    urls = [each for each in server.settings if each.startswith("database.url=")]
    return urls[-1].partition("=")[2] if urls else None


def with_key(key: str) -> dict[str, str]:
    """The header that has the key."""
    return {"Authorization": f"Bearer {key}"}


def get(server: ServerProcess, path: str, key: str | None = None) -> httpx.Response:
    """The answer to a request with this key, or with none."""
    return server.client.get(path, headers={} if key is None else with_key(key))
