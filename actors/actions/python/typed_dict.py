"""Typed dicts of `typing` in a form that pydantic takes; not needed from Python 3.12 on.

Before that, a `typing.TypedDict` does not tell which keys its bases require, so pydantic refuses it
and asks for the one of `typing_extensions`.
"""

import sys
from functools import reduce
from operator import or_
from types import UnionType
from typing import (
    Annotated,
    Any,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from typing_extensions import TypedDict


def understood(hint: Any) -> Any:  # noqa: ANN401 - a type
    """Return the type, with every typed dict in it in a form that pydantic takes."""
    if sys.version_info >= (3, 12):
        return hint
    if is_typeddict(hint):
        return _rebuilt(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in {Required, NotRequired}:
        return understood(arguments[0])
    if not any(map(_holds_one, arguments)):
        return hint
    return _with_arguments(hint, tuple(understood(each) for each in arguments))


def _with_arguments(hint: Any, arguments: tuple[Any, ...]) -> Any:  # noqa: ANN401 - a type
    origin = get_origin(hint)
    if origin is Annotated:
        return Annotated[(arguments[0], *hint.__metadata__)]
    if origin in {Union, UnionType}:
        return reduce(or_, arguments)
    return origin[arguments]


def _holds_one(hint: object) -> bool:
    return is_typeddict(hint) or any(map(_holds_one, get_args(hint)))


def _rebuilt(hint: Any) -> Any:  # noqa: ANN401 - a type
    fields = {
        name: (Required if name in hint.__required_keys__ else NotRequired)[understood(field)]
        for name, field in get_type_hints(hint, include_extras=True).items()
    }
    return TypedDict(hint.__name__, fields)  # type: ignore[operator]
