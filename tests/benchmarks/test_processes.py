import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.processes import running
from tests.harness import eventually


def test_a_process_is_stopped_at_the_end_of_the_block(tmp_path: Path) -> None:
    with running(["sleep", "60"], tmp_path) as process:
        assert process.poll() is None
    assert process.poll() is not None


def test_a_process_is_stopped_when_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), running(["sleep", "60"], tmp_path) as process:
        raise ZeroDivisionError
    assert process.poll() is not None


def test_children_end_with_a_process_that_leaves_them(tmp_path: Path) -> None:
    with running(["sh", "-c", "sleep 60 & echo $! > child; wait"], tmp_path):
        child = int(eventually(lambda: _text(tmp_path / "child"), "there is a child"))
    eventually(lambda: not _runs(child), "the child is gone")


def test_a_process_that_ended_is_the_reason_why_a_block_fails(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such queue')"]
    with pytest.raises(RuntimeError, match="ended with 1: no such queue"):
        _wait_in_vain(command, tmp_path)


def test_a_process_that_ended_fails_a_block_that_did_not_notice(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="ended with 0"), running(["true"], tmp_path) as process:
        process.wait(10)


def _wait_in_vain(command: list[str], directory: Path) -> None:
    with running(command, directory) as process:
        process.wait(10)
        raise subprocess.TimeoutExpired(command, 10)


def _text(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # gone before it is opened, or read
        return False
    return state != "Z"
