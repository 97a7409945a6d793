"""Imports run one way: every module has its layer, and every arrow between layers is listed."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("actors", "api", "config")

LAYERS = {
    "config": ["config", "config.actions", "config.logs", "config.sections", "config.settings"],
    # Pure: states, delays, limits, times, the error tree.
    "rules": [
        "actors",
        "actors.backoff",
        "actors.errors",
        "actors.failures",
        "actors.filters",
        "actors.limits",
        "actors.publishing",
        "actors.rates",
        "actors.recurrence",
        "actors.schedule",
        "actors.task",
        "actors.wire",
    ],
    "reply": ["actors.reply"],
    "messages": ["actors.messages"],
    "machinery": ["actors.actor", "actors.address"],
    "actions": [
        "actors.actions",
        "actors.actions.action",
        "actors.actions.addresses",
        "actors.actions.builtin",
        "actors.actions.call",
        "actors.actions.children",
        "actors.actions.connection",
        "actors.actions.context",
        "actors.actions.process",
        "actors.actions.program",
        "actors.actions.python",
        "actors.actions.registry",
        "actors.actions.result",
        "actors.actions.typed_dict",
        "actors.actions.webhook",
        "actors.actions.worker",
    ],
    "catalog": ["actors.catalog"],
    # For users' tests.
    "testing": ["actors.testing"],
    "store": [
        "actors.store",
        "actors.store.census",
        "actors.store.connect",
        "actors.store.control",
        "actors.store.dialect",
        "actors.store.guarded",
        "actors.store.keys",
        "actors.store.listing",
        "actors.store.locks",
        "actors.store.lock",
        "actors.store.migrate",
        "actors.store.migrations",
        "actors.store.migrations.env",
        "actors.store.migrations.versions",
        "actors.store.prepared",
        "actors.store.queues",
        "actors.store.rate",
        "actors.store.retention",
        "actors.store.schedules",
        "actors.store.schema",
        "actors.store.statements",
        "actors.store.store",
    ],
    "drivers": [
        "actors.drivers",
        "actors.drivers.database",
        "actors.drivers.driver",
        "actors.drivers.memory",
    ],
    # Each actor is a layer of its own: they never import each other.
    "clock": ["actors.clock"],
    "consumer": ["actors.consumer"],
    "keeper": ["actors.keeper"],
    "migration": ["actors.migration"],
    "queue": ["actors.queue"],
    "reader": ["actors.reader"],
    "scheduler": ["actors.scheduler"],
    "supervisor": ["actors.supervisor"],
    # What the writer does in a commit, and what it tells after it.
    "writer": ["actors.changes", "actors.commit", "actors.news", "actors.writer"],
    "system": ["actors.system"],
    "shapes": [
        "api",
        "api.bodies",
        "api.errors",
        "api.idempotency",
        "api.json_codec",
        "api.late",
        "api.middleware",
        "api.quotas",
        "api.schemas",
        "api.times",
        "api.validation",
    ],
    "resources": [
        "api.actions",
        "api.dead_letters",
        "api.health",
        "api.publishing",
        "api.queues",
        "api.schedules",
        "api.tasks",
    ],
    "app": ["api.app", "api.channel", "api.dispatcher", "api.refusals"],
    "process": ["api.__main__", "api.cli", "api.configured", "api.run", "api.server"],
}
"""The modules of each layer, the lowest first; a new module needs a place here."""

MACHINERY = {"machinery", "messages", "rules"}
ACTORS = {
    "clock",
    "consumer",
    "keeper",
    "migration",
    "queue",
    "reader",
    "scheduler",
    "supervisor",
    "writer",
}

ARROWS: dict[str, set[str]] = {
    "config": set(),
    "rules": set(),
    "reply": {"rules"},
    "messages": {"reply", "rules"},
    "machinery": {"messages", "reply", "rules"},
    "actions": {"rules"},
    "catalog": {"actions", "config", "rules"},
    "testing": {"actions", "catalog", "config", "rules"},
    "store": {"rules"},
    "drivers": {"messages", "reply", "rules"},
    "clock": MACHINERY,
    "consumer": MACHINERY,
    "keeper": MACHINERY,
    "migration": MACHINERY,
    "queue": MACHINERY | {"drivers"},
    "reader": MACHINERY | {"store"},
    "scheduler": MACHINERY,
    "supervisor": MACHINERY,
    "writer": MACHINERY | {"reply", "store"},
    "system": ACTORS | MACHINERY | {"actions", "catalog", "config", "drivers", "store"},
    "shapes": {"reply", "rules"},
    "resources": {"messages", "rules", "shapes", "system"},
    "app": {"reply", "resources", "rules", "shapes", "system"},
    "process": {
        "actions",
        "app",
        "catalog",
        "config",
        "resources",
        "rules",
        "shapes",
        "system",
    },
}
"""Which other layers each layer may import."""

FROZEN = "actors.store.migrations.versions."
"""Released migrations stand alone: they may import nothing of ours, ever."""


def modules() -> dict[str, Path]:
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    }


def imports(source: str, known: set[str]) -> set[str]:
    """Our own modules that the source imports, also inside functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import():
                found |= {alias.name for alias in node.names}
            case ast.ImportFrom(level=0, module=str(module)):
                names = {f"{module}.{alias.name}" for alias in node.names}
                found |= (names & known) or {module}
            case ast.ImportFrom():
                message = "a relative import"
                raise AssertionError(message)
    return {name for name in found if name.partition(".")[0] in PACKAGES}


def layer_of(module: str) -> str:
    layers = [layer for layer, members in LAYERS.items() if module in members]
    assert len(layers) == 1, f"{module} must have one layer in LAYERS, it has {layers}"
    return layers[0]


def wrong_arrows(module: str, source: str, known: set[str]) -> Iterator[str]:
    """The imports that are not in `ARROWS`."""
    for imported in sorted(imports(source, known)):
        if module.startswith(FROZEN):
            yield f"{module} → {imported}"
            continue
        layer, other = layer_of(module), layer_of(imported)
        if other != layer and other not in ARROWS[layer]:
            yield f"{module} ({layer}) → {imported} ({other})"


@pytest.mark.parametrize(("module", "path"), modules().items(), ids=modules())
def test_every_import_is_an_arrow_of_the_design(module: str, path: Path) -> None:
    assert list(wrong_arrows(module, path.read_text(), set(modules()))) == []


def test_every_layer_holds_modules_that_exist() -> None:
    listed = [module for members in LAYERS.values() for module in members]
    frozen = {module for module in modules() if module.startswith(FROZEN)}
    assert sorted(listed) == sorted(set(modules()) - frozen)


def test_arrows_point_only_to_lower_layers() -> None:
    order = list(LAYERS)
    assert set(ARROWS) == set(order)
    assert [
        (layer, other)
        for layer, others in ARROWS.items()
        for other in others
        if order.index(other) >= order.index(layer)
    ] == []


def test_no_actor_may_import_another() -> None:
    assert [layer for layer in ACTORS if ARROWS[layer] & ACTORS] == []
    assert [layer for layer, others in ARROWS.items() if others & ACTORS] == ["system"]


def test_modules_import_each_other_in_no_circle() -> None:
    found = modules()
    graph = {name: imports(path.read_text(), set(found)) for name, path in found.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_only_the_settings_read_the_environment() -> None:
    readers = [
        module
        for module, path in modules().items()
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv"})
        or (isinstance(node, ast.ImportFrom) and node.module == "os")
    ]
    assert set(readers) <= {"config.settings"}


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("actors.queue", "from actors.writer import DatabaseWriter"),
        ("actors.queue", "from config.settings import Settings"),
        ("actors.messages", "import actors.actor"),
        ("actors.consumer", "def late():\n    from actors.store import store"),
        ("actors.consumer", "from actors.actions.context import Context"),
        ("actors.queue", "from actors.commit import Commit"),
        ("actors.scheduler", "from actors.store import schedules"),
        ("actors.keeper", "from actors.store import retention"),
        ("actors.task", "from api import errors"),
        ("config.settings", "from actors.errors import TaskQueueError"),
        ("api.tasks", "from actors.store.store import Store"),
        ("api.tasks", "from config import settings"),
        (f"{FROZEN}0001_tasks", "from actors.store.schema import tasks"),
    ],
)
def test_a_wrong_arrow_is_found(module: str, source: str) -> None:
    assert len(list(wrong_arrows(module, source, set(modules())))) == 1
