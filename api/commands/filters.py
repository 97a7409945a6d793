"""Which tasks a command means: its options, as the query of a request."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from task_queue.api.commands import options
from task_queue.api.commands.signatures import options_of, with_options
from task_queue.api.commands.values import moment, pairs

Query = dict[str, object]
"""What is asked for, by the names of the API."""
Text = str | None


def with_filters(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say which tasks it means; it gets their query first."""
    named = options_of(filters_of)

    def run(*given: Any, **values: Any) -> None:  # noqa: ANN401 - what typer has read
        query = filters_of(**{each.name: values.pop(each.name) for each in named})
        command(query, *given, **values)

    return with_options(command, named, run)


def filters_of(  # noqa: PLR0913 - as many as there are filters
    *,
    status: Annotated[
        Text, typer.Option("--status", metavar="STATE,…", help="In one of these states.")
    ] = None,
    queue: options.OnQueue = None,
    action: options.WithAction = None,
    unique_key: Annotated[
        Text, typer.Option("--unique-key", metavar="TEXT", help="With this unique key.")
    ] = None,
    task_key: Annotated[
        Text, typer.Option("--task-key", metavar="TEXT", help="With this `key`.")
    ] = None,
    error: options.WithError = None,
    error_group: options.OfErrorGroup = None,
    data: Annotated[
        list[str] | None,
        typer.Option("--data", metavar="PATH=VALUE", help="With this in its data: user.id=17."),
    ] = None,
    after: Annotated[
        Text,
        typer.Option("--after", metavar="TIME", help="Published since then; 2h: two hours ago."),
    ] = None,
    before: Annotated[
        Text, typer.Option("--before", metavar="TIME", help="Published before then.")
    ] = None,
) -> Query:
    """Return the filters that are given.

    Raises:
        UsageError: A time or a member is written wrong.
    """
    query: Query = {
        "status": status,
        "queue": queue,
        "action": action,
        "unique_key": unique_key,
        "key": task_key,
        "error_contains": error,
        "error_group": error_group,
        "created_after": moment("--after", after),
        "created_before": moment("--before", before),
    }
    query |= {f"data.{path}": value for path, value in pairs("--data", data or ())}
    return {name: value for name, value in query.items() if value is not None}
