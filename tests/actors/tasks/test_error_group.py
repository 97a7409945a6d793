"""Which errors are the same, and that the migration has the same rule."""

import importlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_queue.actors.tasks.error_group import MAX_CHARS, error_group

MIGRATION = importlib.import_module("task_queue.actors.store.migrations.versions.0008_eyes")
TEXTS = st.text(st.characters(codec="utf-8") | st.sampled_from("#12af-.:/ \n\t"), max_size=600)


@pytest.mark.parametrize(
    ("error", "group"),
    [
        (None, ""),
        ("", ""),
        ("  \n ", ""),
        ("connection refused", "connection refused"),
        ("timeout after 30 s", "timeout after # s"),
        ("no user 0190f6a2-7c3e-7f00-8000-000000000001 here", "no user # here"),
        ("2026-11-28T05:48:04.809070Z: too late", "#: too late"),
        ("10.0.0.1:8080 refused", "# refused"),
        ("data.numbers[12] must be a number", "data.numbers[#] must be a number"),
        ("order a1b2c3 of user7\n  failed\x1b", "order # of # failed"),
        ("\u0665 lines", "# lines"),
        ("x" * 500, "x" * MAX_CHARS),
    ],
)
def test_errors_are_the_same_apart_from_ids_and_numbers(error: str | None, group: str) -> None:
    assert error_group(error) == group


@given(TEXTS)
def test_a_group_is_short_and_printable_and_the_migration_makes_the_same(error: str) -> None:
    group = error_group(error)
    assert len(group) <= MAX_CHARS
    assert group.isprintable()
    assert group == group.strip()
    assert MIGRATION._group_of(error) == group
