"""Options that several commands share, added to a command by a decorator."""

from collections.abc import Callable, Sequence
from functools import wraps
from inspect import Parameter, signature


def with_options(
    command: Callable[..., None],
    options: Sequence[Parameter],
    run: Callable[..., None],
) -> Callable[..., None]:
    """Return a command as typer sees it: without its first parameter, which is made of options.

    Args:
        command: The command.
        options: What it has besides its own parameters.
        run: Is called in place of it, with the values of all.
    """
    own = signature(command)
    parameters = [
        each.replace(kind=Parameter.KEYWORD_ONLY)
        for each in (*list(own.parameters.values())[1:], *options)
    ]
    changed = wraps(command)(run)
    changed.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    return changed


def options_of(function: Callable[..., object]) -> list[Parameter]:
    """Return the parameters of a function whose annotations say which options they are."""
    return list(signature(function).parameters.values())
