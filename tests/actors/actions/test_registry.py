import pytest

from actors.actions.registry import Registry, load
from actors.errors import ActionLoadError, PermanentError


def registry(*, fallback: bool = True, seconds: float = 0.0, **references: str) -> Registry:
    return load(references, fallback=fallback, simulated_work_seconds=seconds)


def test_the_tutorials_actions_are_there_and_any_other_name_is_processed() -> None:
    actions = registry()
    assert actions.run("uppercase", '{"text":"hello"}') == '{"output":"HELLO"}'
    assert actions.run("sum", '{"numbers":[1,2]}') == '{"output":3}'
    assert actions.run("anything", "{}") == '{"output":"processed"}'
    assert actions.knows("anything")


def test_without_the_fallback_other_names_are_unknown() -> None:
    actions = registry(fallback=False)
    assert not actions.knows("anything")
    assert actions.knows("sum")
    with pytest.raises(PermanentError, match="known: sum, uppercase"):
        actions.run("anything", "{}")


def test_a_configured_action_is_found_by_its_name() -> None:
    actions = registry(fallback=False, shout="actors.actions.builtin:uppercase")
    assert actions.names == ["shout", "sum", "uppercase"]
    assert actions.run("shout", '{"text":"hello"}') == '{"output":"HELLO"}'


@pytest.mark.parametrize(
    "reference", ["no_such_module:f", "actors.task:no_such_function", "actors.task:MAX_ERROR_CHARS"]
)
def test_an_action_that_cannot_be_loaded_is_named_at_start(reference: str) -> None:
    with pytest.raises(ActionLoadError, match=r"actions\.broken"):
        registry(broken=reference)


def test_a_result_that_is_not_json_is_a_permanent_error() -> None:
    with pytest.raises(PermanentError, match="not JSON"):
        registry(broken="tests.actions:not_json").run("broken", "{}")


def test_built_in_actions_pretend_to_work_and_configured_ones_do_not() -> None:
    slept: list[float] = []
    actions = load(
        {"shout": "actors.actions.builtin:uppercase"},
        fallback=True,
        simulated_work_seconds=0.1,
        sleep=slept.append,
    )
    for action in ("uppercase", "sum", "anything", "shout"):
        actions.run(action, "{}")
    assert slept == [0.1] * 3
