"""Run with `python -m pytest`: no server is needed."""

from pathlib import Path

import pytest
from task_queue import RetryLater
from task_queue.testing import run_inline

from report import report


def test_without_a_database_it_is_tried_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with run_inline(report=report) as queue, pytest.raises(RetryLater, match="not there"):
        queue.publish("report")
