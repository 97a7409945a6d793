"""Run with `python -m pytest`: no server is needed."""

from pathlib import Path

import pytest
from PIL import Image
from task_queue import Reject
from task_queue.testing import run_inline

from thumbnails import make_thumbnails


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    return tmp_path


def test_a_thumbnail_keeps_the_proportions(folder: Path) -> None:
    Image.new("RGB", (400, 200)).save(folder / "pictures" / "wide.png")
    with run_inline(thumbnails=make_thumbnails) as queue:
        task = queue.publish("thumbnails", {"picture": "wide.png", "widths": [100]})
    assert task.result == ["thumbnails/wide-100.jpg"]
    assert task.progress == [(0, "100 pixels"), (1, None)]
    with Image.open(folder / "thumbnails" / "wide-100.jpg") as small:
        assert small.size == (100, 50)


def test_what_is_no_picture_is_rejected(folder: Path) -> None:
    (folder / "pictures" / "text.png").write_text("no picture")
    with run_inline(thumbnails=make_thumbnails) as queue, pytest.raises(Reject, match="identify"):
        queue.publish("thumbnails", {"picture": "text.png", "widths": [100]})


def test_a_picture_that_ends_too_early_may_be_tried_again(folder: Path) -> None:
    whole = folder / "pictures" / "whole.jpg"
    Image.radial_gradient("L").save(whole)
    (folder / "pictures" / "half.jpg").write_bytes(whole.read_bytes()[:2000])
    with run_inline(thumbnails=make_thumbnails) as queue, pytest.raises(OSError, match="truncated"):
        queue.publish("thumbnails", {"picture": "half.jpg", "widths": [100]})
