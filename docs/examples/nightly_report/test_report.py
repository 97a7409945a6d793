"""Run with `python -m pytest`: no server is needed."""

from pathlib import Path

import pytest
from task_queue import RetryLater
from task_queue.testing import run_inline

import sell
from report import report


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_report_has_the_totals_of_the_day() -> None:
    sell.make_database()
    with run_inline(report=report) as queue:
        task = queue.publish("report", {"day": "2026-01-31"})
    assert task.result == {"file": "reports/2026-01-31.csv", "products": 2, "cents": 53300}


def test_without_a_database_it_is_tried_later() -> None:
    with run_inline(report=report) as queue, pytest.raises(RetryLater, match="not there"):
        queue.publish("report")
