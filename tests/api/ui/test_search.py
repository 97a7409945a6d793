"""What the search box understands."""

import pytest

from task_queue.api.ui.search import filters_in, id_in

ID = "0190f6a2-7c3e-7f00-8000-000000000001"


@pytest.mark.parametrize("text", [ID, f"  {ID.upper()} "])
def test_an_id_is_an_id(text: str) -> None:
    assert id_in(text) == ID


@pytest.mark.parametrize(
    ("text", "filters"),
    [
        ("data.user=17", {"data.user": "17"}),
        ('data.user.name="Ada L." status=dead', {"data.user.name": "Ada L.", "status": "dead"}),
        ("error:timeout", {"error_contains": "timeout"}),
        ("unique_key=order-17=b", {"unique_key": "order-17=b"}),
        ("key=", {"key": ""}),
    ],
)
def test_names_and_values_are_filters(text: str, filters: dict[str, str]) -> None:
    assert filters_in(text) == filters


@pytest.mark.parametrize(
    "text", ["", "order-17", "connection refused", "ValueError: no", "http://x.example", "it's"]
)
def test_anything_else_is_a_plain_text(text: str) -> None:
    assert id_in(text) is None
    assert filters_in(text) == {}
