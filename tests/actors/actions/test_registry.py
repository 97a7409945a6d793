from dataclasses import dataclass
from typing import Any

import pytest

from actors.actions.context import Context
from actors.actions.registry import Registry, load
from actors.errors import ActionLoadError, Reject
from actors.task import ClaimedTask, Lease
from actors.wire import Progress, Wire

LEASE = Lease("task", 7)


def registry(*, fallback: bool = True, seconds: float = 0.0, **references: str) -> Registry:
    return load(references, fallback=fallback, simulated_work_seconds=seconds)


def run(actions: Registry, action: str, data: str = "{}", wire: Wire | None = None) -> str:
    return actions.run(ClaimedTask(LEASE, action, data, 2, 5), wire or Wire())


def set_of_numbers(_data: Any) -> object:  # noqa: ANN401 - an action's data
    """Return what JSON cannot say."""
    return {1, 2, 3}


def with_context(data: Any, context: Context) -> dict[str, Any]:  # noqa: ANN401
    context.progress(0.5)
    return {"data": data, "attempt": context.attempt}


@dataclass
class Multiply:
    """An action with a setting; like any dataclass that can be changed, it has no hash."""

    by: int

    def __call__(self, data: Any, context: Context) -> int:  # noqa: ANN401
        return int(data["number"]) * self.by * context.attempt


double = Multiply(2)


def test_the_tutorials_actions_are_there_and_any_other_name_is_processed() -> None:
    actions = registry()
    assert run(actions, "uppercase", '{"text":"hello"}') == '{"output":"HELLO"}'
    assert run(actions, "sum", '{"numbers":[1,2]}') == '{"output":3}'
    assert run(actions, "anything") == '{"output":"processed"}'
    assert actions.knows("anything")


def test_without_the_fallback_other_names_are_unknown() -> None:
    actions = registry(fallback=False)
    assert not actions.knows("anything")
    assert actions.knows("sum")
    with pytest.raises(Reject, match="known: sum, uppercase"):
        run(actions, "anything")


def test_a_configured_action_is_found_by_its_name() -> None:
    actions = registry(fallback=False, shout="actors.actions.builtin:uppercase")
    assert actions.names == ["shout", "sum", "uppercase"]
    assert run(actions, "shout", '{"text":"hello"}') == '{"output":"HELLO"}'


def test_an_action_of_two_parameters_is_given_its_context() -> None:
    wire = Wire()
    actions = registry(mine=f"{__name__}:with_context")
    assert run(actions, "mine", '{"n":1}', wire) == '{"data":{"n":1},"attempt":2}'
    assert wire.take_progress(LEASE) == Progress(LEASE, 0.5, None)


def test_an_action_may_be_any_object_that_can_be_called() -> None:
    assert run(registry(double=f"{__name__}:double"), "double", '{"number":3}') == "12"


@pytest.mark.parametrize(
    "reference", ["no_such_module:f", "actors.task:no_such_function", "actors.task:MAX_ERROR_CHARS"]
)
def test_an_action_that_cannot_be_loaded_is_named_at_start(reference: str) -> None:
    with pytest.raises(ActionLoadError, match=r"actions\.broken"):
        registry(broken=reference)


def test_a_result_that_is_not_json_is_rejected() -> None:
    with pytest.raises(Reject, match="not JSON"):
        run(registry(broken=f"{__name__}:set_of_numbers"), "broken")


def test_built_in_actions_pretend_to_work_and_configured_ones_do_not() -> None:
    slept: list[float] = []
    actions = load(
        {"shout": "actors.actions.builtin:uppercase"},
        fallback=True,
        simulated_work_seconds=0.1,
        sleep=slept.append,
    )
    for action in ("uppercase", "sum", "anything", "shout"):
        run(actions, action)
    assert slept == [0.1] * 3
