"""Which actions there are by the settings, what is known of them, and how they are called."""

import re
import time
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from task_queue.actors.actions.builtin import slowed
from task_queue.actors.actions.context import Context
from task_queue.actors.actions.load import load_actions
from task_queue.actors.actions.process.child import Children
from task_queue.actors.actions.registry import Registry
from task_queue.actors.errors import ActionLoadError, InvalidDataError, Reject
from task_queue.actors.tasks.claim import ClaimedTask, Lease, Terms
from task_queue.actors.tasks.slot import Progress, Slot
from task_queue.config.layers import load

LEASE = Lease("task", 7)


def registry(*overrides: str, **references: str) -> Registry:
    actions = [f"actions.{name}={reference}" for name, reference in references.items()]
    return load_actions(load(overrides=[*actions, *overrides], environ={}).settings, Children())


def run(actions: Registry, action: str, data: str = "{}", slot: Slot | None = None) -> str:
    return actions.run(ClaimedTask(LEASE, action, data, 2, 5), slot or Slot()).result


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


@dataclass
class Size:
    width: int


def resize(data: Size) -> int:
    """Make it as wide as that.

    And no wider.
    """
    return data.width


def test_the_tutorials_actions_are_there_and_any_other_name_is_processed() -> None:
    actions = registry()
    assert run(actions, "uppercase", '{"text":"hello"}') == '{"output":"HELLO"}'
    assert run(actions, "sum", '{"numbers":[1,2]}') == '{"output":3}'
    assert run(actions, "anything") == '{"output":"processed"}'
    assert actions.knows("anything")
    assert actions.described("anything") is None


def test_without_the_fallback_other_names_are_unknown() -> None:
    actions = registry("builtin.fallback=false")
    assert not actions.knows("anything")
    assert actions.knows("sum")
    with pytest.raises(Reject, match="known: sum, uppercase"):
        run(actions, "anything")


@pytest.mark.parametrize(
    ("fallback", "known_alone", "known_beside_an_own_one"),
    [("auto", True, False), ("true", True, True), ("false", False, False)],
)
def test_any_other_name_is_known_as_the_fallback_says(
    fallback: str, *, known_alone: bool, known_beside_an_own_one: bool
) -> None:
    setting = f"builtin.fallback={fallback}"
    assert registry(setting).knows("anything") is known_alone
    beside = registry(setting, double=f"{__name__}:double")
    assert beside.knows("anything") is known_beside_an_own_one
    assert beside.knows("double")


@pytest.mark.parametrize(
    ("action", "guess"), [("sun", "sum"), ("Sum", "sum"), ("upercase", "uppercase"), ("x", None)]
)
def test_a_task_of_no_known_action_is_rejected_with_those_that_are_there_and_the_nearest(
    action: str, guess: str | None
) -> None:
    meant = f" did you mean '{guess}'?" if guess else ""
    sentence = f"action '{action}' is not known;{meant} known: sum, uppercase"
    with pytest.raises(Reject, match=f"^{re.escape(sentence)}$"):
        run(registry("builtin.fallback=false"), action)


def test_a_configured_action_is_found_by_its_name() -> None:
    actions = registry(
        "builtin.fallback=false", shout="task_queue.actors.actions.builtin:uppercase"
    )
    assert actions.names == ["shout", "sum", "uppercase"]
    assert run(actions, "shout", '{"text":"hello"}') == '{"output":"HELLO"}'


def test_an_action_of_two_parameters_is_given_its_context() -> None:
    slot = Slot()
    actions = registry(mine=f"{__name__}:with_context")
    assert run(actions, "mine", '{"n":1}', slot) == '{"data":{"n":1},"attempt":2}'
    assert slot.take_progress(LEASE) == Progress(LEASE, 0.5, None)


def test_an_action_may_be_any_object_that_can_be_called() -> None:
    assert run(registry(double=f"{__name__}:double"), "double", '{"number":3}') == "12"


def test_data_is_checked_by_its_type_and_any_name_without_one_takes_any() -> None:
    actions = registry(resize=f"{__name__}:resize")
    actions.check("resize", '{"width":3}')
    actions.check("anything", '{"width":"x"}')
    with pytest.raises(InvalidDataError, match=r"data\.width: .*integer.*, not \"x\""):
        actions.check("resize", '{"width":"x"}')


def test_what_is_shown_of_an_action_is_what_its_publisher_has_to_know() -> None:
    described = registry(resize=f"{__name__}:resize").described("resize")
    assert described is not None
    schema = described.pop("schema")
    assert described == {
        "name": "resize",
        "kind": "python",
        "description": "Make it as wide as that.",
        "execution": "thread",
        "timeout_seconds": 3600.0,
    }
    assert (schema["required"], schema["properties"]["width"]["type"]) == (["width"], "integer")


@pytest.mark.parametrize(
    ("own", "of_action", "of_all", "expected"),
    [(None, None, 60, 60.0), (None, 7, 60, 7.0), (3.0, 7, 60, 3.0), (3.0, None, 0, 3.0)],
)
def test_the_tasks_own_timeout_comes_before_its_actions_and_that_before_the_usual_one(
    own: float | None, of_action: int | None, of_all: int, expected: float
) -> None:
    options = f", timeout_seconds = {of_action}" if of_action else ""
    actions = registry(
        f"execution.timeout_seconds={of_all}",
        f'actions.mine={{python = "{__name__}:with_context"{options}}}',
    )
    slot = Slot()
    actions.run(ClaimedTask(LEASE, "mine", "{}", 1, 5, terms=Terms(timeout_seconds=own)), slot)
    assert (slot.running, slot.timeout_seconds) == (LEASE, expected)
    now = time.monotonic()
    assert not slot.is_overdue(LEASE, now + expected)  # it may notice by itself
    assert slot.is_overdue(LEASE, now + expected + 1.0)
    assert not slot.is_overdue(Lease("task", 8), now + 1e9)


def test_a_task_without_a_timeout_has_no_deadline() -> None:
    slot = Slot()
    run(registry("execution.timeout_seconds=0"), "sum", slot=slot)
    assert not slot.is_overdue(LEASE, 1e18)


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ("no_such_module:f", "cannot be imported: ModuleNotFoundError: No module named"),
        (
            "task_queue.actors.tasks.settlement:no_such_function",
            "cannot be imported: AttributeError",
        ),
        (
            "task_queue.actors.tasks.settlement:MAX_POSTPONEMENTS",
            "cannot be used: it is of the type int",
        ),
        (
            "task_queue.actors.tasks.settlement:nack",
            "cannot be used: it must take (data) or (data, task), not (claimed",
        ),
    ],
)
def test_an_action_that_cannot_be_loaded_is_one_clear_line(reference: str, problem: str) -> None:
    with pytest.raises(ActionLoadError) as raised:
        registry(broken=reference)
    line = str(raised.value)
    assert line.startswith(f"actions.broken = '{reference}' {problem}")
    assert "\n" not in line


@pytest.mark.parametrize(
    ("reference", "end"),
    [
        ("{name}.sound:no_such", "has no attribute 'no_such'"),
        ("{name}.no_such:f", "No module named '{name}.no_such'"),
        ("{name}.broken:f", "KeyError: 'SHOP' ({folder}/{name}/broken.py, line 2)"),
        ("no_such_module:f", "; it is neither installed nor in the folder {folder}"),
    ],
)
def test_a_module_in_the_current_folder_that_cannot_be_loaded_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: str, end: str
) -> None:
    name = tmp_path.name  # without `__init__.py`, as in the tutorial
    (tmp_path / name).mkdir()
    (tmp_path / name / "sound.py").write_text("def f(data):\n    return data\n")
    (tmp_path / name / "broken.py").write_text("import os\nos.environ['SHOP']\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ActionLoadError) as raised:
        registry(broken=reference.format(name=name))
    assert str(raised.value).endswith(end.format(name=name, folder=tmp_path))


def test_built_in_actions_pretend_to_work_and_configured_ones_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(
        "task_queue.actors.actions.load.slowed", lambda f, seconds: slowed(f, seconds, slept.append)
    )
    actions = registry(
        "builtin.simulated_work_seconds=0.1",
        "builtin.fallback=true",
        shout="task_queue.actors.actions.builtin:uppercase",
    )
    for action in ("uppercase", "sum", "anything", "shout"):
        run(actions, action)
    assert slept == [0.1] * 3


def test_other_actions_take_the_place_of_former_ones_and_what_was_kept_warm_is_let_go() -> None:
    let_go: list[str] = []
    actions = Registry({}, None, let_go=lambda: let_go.append("former"))
    actions.become(registry())
    assert (actions.names, let_go) == (["sum", "uppercase"], ["former"])
    assert run(actions, "sum") == '{"output":0}'


# --- actions of installed packages ----------------------------------------------------------


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """The entry points that installed packages have."""
    offers: list[EntryPoint] = []
    monkeypatch.setattr(
        "task_queue.actors.actions.load.entry_points",
        lambda group: [each for each in offers if each.group == group],
    )
    return offers


def test_an_installed_package_offers_actions_and_the_settings_have_the_last_word(
    offered: list[EntryPoint],
) -> None:
    group = "task_queue.actions"
    offered.append(EntryPoint("double", f"{__name__}:double", group))
    offered.append(EntryPoint("mine", f"{__name__}:double", group))
    actions = registry(mine=f"{__name__}:resize")
    assert run(actions, "double", '{"number":3}') == "12"
    assert run(actions, "mine", '{"width":3}') == "3"


def test_what_an_installed_package_offers_and_is_not_there_is_one_clear_line(
    offered: list[EntryPoint],
) -> None:
    offered.append(EntryPoint("double", "no_such_module:f", "task_queue.actions"))
    with pytest.raises(ActionLoadError, match="the action double of an installed package = "):
        registry()


def test_an_action_of_a_package_is_an_own_one_and_ends_the_fallback(
    offered: list[EntryPoint],
) -> None:
    assert registry().knows("anything")
    offered.append(EntryPoint("double", f"{__name__}:double", "task_queue.actions"))
    assert not registry().knows("anything")
    assert registry("builtin.fallback=true").knows("anything")


def test_an_action_of_a_package_whose_name_is_none_is_refused(offered: list[EntryPoint]) -> None:
    offered.append(EntryPoint("two words", f"{__name__}:double", "task_queue.actions"))
    with pytest.raises(ActionLoadError, match=r"two words .* cannot be used: the name must have"):
        registry()
