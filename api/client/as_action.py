"""A function with parameters of its own as an action, which gets the data and the context."""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, NotRequired, Required, get_type_hints

from typing_extensions import TypedDict

from task_queue.actors.actions.python.typed_dict import understood


def as_action(
    function: Callable[..., Any], published: inspect.Signature, *, context: bool
) -> Callable[..., Any]:
    """Return what the service calls.

    Its data is checked as that of every action: it has the parameters as members, of the types that
    they are annotated with, and no others.

    Args:
        function: The function.
        published: Its parameters without the context.
        context: Whether it takes the context first.

    Raises:
        NameError: A name in an annotation is not known.
    """
    as_a_whole = list(published.parameters) == ["data"]
    if as_a_whole:
        hint = _hint(function, published.parameters["data"])
    else:
        hint = _members(function, published)

    @wraps(function)
    def action(data: Any, task: Any) -> Any:  # noqa: ANN401 - of any types
        given = (task,) if context else ()
        return function(*given, data) if as_a_whole else function(*given, **data)

    del action.__wrapped__  # its parameters are other ones
    action.__annotations__ = {"data": hint}
    return action


def _members(function: Callable[..., Any], published: inspect.Signature) -> Any:  # noqa: ANN401 - a type
    """Return the type of the data: an object with the parameters as members."""
    members = {}
    for name, parameter in published.parameters.items():
        hint = understood(_hint(function, parameter))
        is_needed = parameter.default is parameter.empty
        members[name] = Required[hint] if is_needed else NotRequired[hint]
    make: Any = TypedDict  # type checkers want a name that is known to them
    kind = make(function.__name__, members)
    kind.__pydantic_config__ = {"extra": "forbid"}
    return kind


def _hint(function: Callable[..., Any], parameter: inspect.Parameter) -> Any:  # noqa: ANN401 - a type
    """Return the type of a parameter, `Any` if it has none."""
    if parameter.annotation is parameter.empty:
        return Any
    # One by one: names in the others may exist for type checkers only, as `Context` may.
    holder = type("holder", (), {"__annotations__": {"it": parameter.annotation}})
    names: Mapping[str, Any] = getattr(inspect.unwrap(function), "__globals__", {})
    return get_type_hints(holder, dict(names), include_extras=True)["it"]
