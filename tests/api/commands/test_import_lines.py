"""The lines of an import, and what is remembered of it."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from task_queue.api.commands import import_lines, import_state
from task_queue.api.commands.errors import CommandError
from task_queue.api.commands.import_lines import Batch, Lines
from task_queue.api.commands.import_state import Import, State

URL = "http://127.0.0.1:8080"


def batches(text: str) -> Iterator[Batch]:
    lines = Lines(io.BytesIO(text.encode()))
    while batch := lines.batch(None):
        yield batch


def documents(text: str) -> list[dict[str, object]]:
    (batch,) = batches(text)
    return [task.document for task in batch.tasks]


def test_a_line_is_what_publish_takes() -> None:
    line = {"action": "sum", "data": {"numbers": [1]}, "queue": "mail", "priority": 3}
    assert documents(f"{json.dumps(line)}\n\n") == [line]


def test_a_line_of_an_export_publishes_the_same_again() -> None:
    line = {
        "payload": {"id": "1", "action": "sum", "data": {"numbers": [1]}, "created_at": 1},
        "status": "dead",
        "queue": "mail",
        "priority": 0,
        "key": None,
        "unique_key": "one",
        "run_at": 4e9,
        "expires_at": 1,
        "attempt": 5,
    }
    again = {"action": "sum", "data": {"numbers": [1]}, "queue": "mail", "priority": 0}
    again["unique_key"] = "one"
    assert documents(json.dumps(line)) == [again]
    assert documents(json.dumps(line | {"status": "scheduled"})) == [
        again | {"run_at": 4e9, "expires_at": 1}
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{oops", "it is no JSON: "),
        ("[1]", "it is no JSON object"),
        ('{"data": {}}', "action is missing"),
        ('{"action": 3}', "action is missing"),
        ('{"action": "sum", "data": []}', "data must be an object"),
        ("[" * 100_000, "it is no JSON: "),
    ],
)
def test_a_bad_line_is_named_by_its_number(line: str, problem: str) -> None:
    (batch,) = batches('{"action": "sum"}\n' + line + '\n{"action": "sum"}\n')
    ((number, text),) = batch.problems
    assert number == 2
    assert text.startswith(problem)
    assert len(batch.tasks) == 2


def test_a_line_without_an_end_takes_no_more_memory_than_its_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(import_lines, "MAX_LINE_BYTES", 64)
    (batch,) = batches("x" * 1_000 + '\n{"action": "sum"}\n')
    assert [len(line.text) for line in batch.lines] == [64, 18]
    assert [line.size for line in batch.lines] == [1_001, 18]
    assert [number for number, _ in batch.problems] == [1]
    assert [half.offset for half in batch.halves()] == [0, 1_001]


def test_batches_are_as_long_as_the_server_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    line = '{"action": "sum"}\n'
    found = list(batches(line * 2_500))
    assert [len(batch.lines) for batch in found] == [1_000, 1_000, 500]
    assert [batch.first for batch in found] == [1, 1_001, 2_001]
    assert [batch.offset for batch in found] == [0, 18_000, 36_000]
    monkeypatch.setattr(import_lines, "MAX_BYTES", 40)
    assert [len(batch.lines) for batch in batches(line * 7)] == [3, 3, 1]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tasks.ndjson"
    path.write_text('{"action": "sum"}\n' * 30)
    return path


def cut_off(file: Path, at: float) -> Batch:
    """The batch at which an import was cut off."""
    state = State.of_file(file, URL, anew=False)
    lines = Lines(io.BytesIO(file.read_bytes()))
    assert lines.batch(10) is not None
    batch = lines.batch(7)
    assert batch is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.time", lambda: at)
        state.save(batch, Import(published=9, bad=1))
    return batch


def test_an_import_that_was_cut_off_knows_where(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = cut_off(file, 1_000.0)
    monkeypatch.setattr("time.time", lambda: 1_000.0 + import_state.KEPT_SECONDS)
    state = State.of_file(file, URL, anew=False)
    assert state.began is not None
    assert (state.began.line, state.began.offset, state.began.count) == (11, 180, 7)
    assert state.began.done == Import(published=9, bad=1)
    state.check(batch)
    assert State.of_file(file, URL, anew=True).began is None
    state.remove()
    assert State.of_file(file, URL, anew=False).began is None


def test_an_import_does_not_go_on_if_something_may_be_published_twice(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off(file, 1_000.0)
    monkeypatch.setattr("time.time", lambda: 1_001.0 + import_state.KEPT_SECONDS)
    with pytest.raises(CommandError, match=r"lines 11 to 17 .* --from 11 or --from 18"):
        State.of_file(file, URL, anew=False)
    with pytest.raises(CommandError, match=r"to http://127.0.0.1:8080 was cut off at line 11"):
        State.of_file(file, "http://other:8080", anew=False)
    monkeypatch.setattr("time.time", lambda: 1_000.0)
    state = State.of_file(file, URL, anew=False)
    lines = Lines(io.BytesIO(b'{"action": "other"}\n' * 30))
    changed = lines.batch(7)
    assert changed is not None
    with pytest.raises(CommandError, match="the file has changed at line 1 since"):
        state.check(changed)


def test_a_state_that_cannot_be_read_is_no_reason_to_begin_anew(file: Path) -> None:
    file.with_name("tasks.ndjson.import").write_text("{}")
    with pytest.raises(CommandError, match="delete it to begin anew"):
        State.of_file(file, URL, anew=False)
