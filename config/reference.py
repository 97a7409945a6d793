"""The page of all settings, made of their models and `default.toml`.

python -m task_queue.config.reference > docs/settings.md
"""

import ast
import inspect
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib import resources
from itertools import pairwise
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from task_queue.config.actions import KINDS
from task_queue.config.network import AuthSettings, KeySettings
from task_queue.config.sections import QueueSettings, ScheduleSettings
from task_queue.config.settings import Settings

HEAD = """\
# Settings

`python -m task_queue.config.reference` writes this page from the models in `config/`. How to change
settings while the server runs, and which of them matter for speed: [Operations](operations.md).

A setting comes from one of four places; the later one wins, key by key:

1. the default, in [`config/default.toml`](../config/default.toml)
2. a TOML file: `--config shop.toml`, or the environment variable `TASK_QUEUE_CONFIG`
3. the environment: `TASK_QUEUE_`, the section, `__` and the key, in capitals, as
   `TASK_QUEUE_HTTP__PORT=9000` or `TASK_QUEUE_QUEUES__TASKS__CONCURRENCY=4`
4. the command line: `--set http.port=9000`, any number of times

A variable names actions, queues and schedules in lower case. The other places name them as they
are, in quotes where there is a `.` or `:`, as in `[queues."mail.eu"]`.

The environment holds texts alone, so a number, `true` and `false` may be in quotes in a file, too.

`task-queue config` shows every value in force and where it came from. A key that is not known or a
value that is not allowed ends the program with exit code 2 and a line that says what is allowed.
"""
QUEUES = """
A queue needs a table with a [name](http.md#names), as `[queues.mail]`. A key that is not set for it
has the default below, whatever is set for `tasks`. The queue `tasks` is always there; tasks that
name no queue go to it.
"""
ACTIONS = """
An action needs a table with a [name](http.md#names), with one of the keys `python`, `command`,
`http` and `external`. `name = "module:function"` is short for a table with `python` alone.
What they do: [Actions](actions.md).
"""
SCHEDULES = """
A schedule needs a table with a [name](http.md#names). A file suits it best: in the environment
each key of `task` is a variable of its own (`TASK_QUEUE_SCHEDULES__REPORT__TASK__ACTION=sum`), in
lower case, and its value is text, never a number.
"""


def page() -> str:
    """Return the page, in Markdown."""
    text = resources.files("task_queue.config").joinpath("default.toml").read_text("utf-8")
    defaults = tomllib.loads(text)
    return HEAD + "".join(
        part for name in Settings.model_fields for part in _section(name, defaults)
    )


def _section(name: str, defaults: Mapping[str, Any]) -> Iterator[str]:
    """Yield the parts of a section: its heading, what it is about, its keys."""
    match name:
        case "queues":
            yield from (_heading("queues", QueueSettings), QUEUES)
            yield _table("queues.tasks", QueueSettings, defaults["queues"]["tasks"])
        case "actions":
            yield from ("\n## actions\n\nWhat tasks can do.\n", ACTIONS)
            for kind in KINDS.values():
                yield f"\n### {(kind.__doc__ or '').removesuffix('.')}\n"
                yield _table("actions.<name>", kind, {})
        case "schedules":
            yield from (_heading("schedules", ScheduleSettings), SCHEDULES)
            yield _table("schedules.<name>", ScheduleSettings, {})
        case "auth":
            yield _heading("auth", AuthSettings)
            yield _table("auth", AuthSettings, defaults["auth"])
            yield _table("auth.keys.<name>", KeySettings, {})
        case _:
            model = Settings.model_fields[name].annotation
            assert isinstance(model, type)  # noqa: S101 - the other sections are above
            yield _heading(name, model)
            yield _table(name, model, defaults[name])


def _heading(title: str, model: type[BaseModel]) -> str:
    return f"\n## {title}\n\n{(model.__doc__ or '').partition(chr(10))[0]}\n"


def _table(prefix: str, model: type[BaseModel], defaults: Mapping[str, Any]) -> str:
    rows = ["| key | default | allowed | |", "|---|---|---|---|"]
    texts = descriptions(model)
    for name, field in model.model_fields.items():
        default = defaults.get(name, None if field.is_required() else field.default)
        text = " ".join(texts.get(name, "").split()).replace("|", "\\|")
        rows.append(f"| `{prefix}.{name}` | {_shown(default)} | {_allowed(field)} | {text} |")
    return "\n".join(["", *rows, ""])


def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """Return what the source says below each field, by its name.

    The library would read it at every start of the program, for models that are used there.
    """
    texts: dict[str, str] = {}
    for each in reversed(model.__mro__[: model.__mro__.index(BaseModel)]):
        (of_class,) = ast.parse(inspect.getsource(each)).body
        assert isinstance(of_class, ast.ClassDef)  # noqa: S101 - they are at the top level
        for pair in pairwise(of_class.body):
            match pair:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    texts[name] = text
    return texts


def _shown(default: object) -> str:
    """Return the default as the page has it; empty if there is none."""
    match default:
        case bool():
            return f"`{str(default).lower()}`"
        case float():
            return f"`{default:g}`"
        case int() | str() | list():
            return f"`{default}`"
        case _:
            return ""


def _allowed(field: FieldInfo) -> str:
    """Return in words which values the field takes."""
    kinds = [kind for kind in (field.annotation, *get_args(field.annotation)) if kind is not None]
    for kind in kinds:
        if get_origin(kind) is Literal:
            choices = [*get_args(kind), *(["true", "false"] if bool in kinds else [])]
            return ", ".join(f"`{choice}`" for choice in choices)
    limits = {
        name: str(getattr(limit, name))
        for limit in field.metadata
        for name in ("ge", "gt", "le")
        if hasattr(limit, name)
    }
    unit = "whole, " if int in kinds else ""
    match limits:
        case {"ge": least, "le": most}:
            return f"{unit}{least} to {most}"
        case {"gt": below, "le": most}:
            return f"{unit}above {below}, up to {most}"
    if bool in kinds:
        return "`true`, `false`"
    if any(get_origin(kind) is tuple for kind in kinds):
        return "a list of texts"
    return "a table" if any(get_origin(kind) in {dict, Mapping} for kind in kinds) else "text"


if __name__ == "__main__":
    sys.stdout.write(page())
