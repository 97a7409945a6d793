"""Commands, run as users run them."""

import os
import subprocess
import sys
from pathlib import Path

from tests.harness import DEADLINE_SECONDS, ROOT


def command(
    directory: Path, *arguments: str, code: int = 0, environ: dict[str, str] | None = None
) -> str:
    """What `task-queue` says in this directory: its output, or why it failed."""
    plain = {"PYTHONPATH": f"{ROOT}{os.pathsep}{directory}", "NO_COLOR": "1", "COLUMNS": "100"}
    result = subprocess.run(
        [sys.executable, "-m", "task_queue", *arguments],
        cwd=directory,
        env={**os.environ, **plain, **(environ or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert result.returncode == code, (result.stdout, result.stderr)
    assert "Traceback" not in result.stderr
    shown = result.stderr or result.stdout if code else result.stdout
    return shown.removeprefix("task-queue: ")
