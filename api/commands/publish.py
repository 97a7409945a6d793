"""`task-queue publish`."""

from typing import Annotated, Any

import typer

from task_queue.api.client.results.tasks import Task
from task_queue.api.commands import options, show
from task_queue.api.commands.errors import CommandError
from task_queue.api.commands.server import Server, asks_server
from task_queue.api.commands.values import backoff_of, data_of, future, seconds, whole
from task_queue.api.standard_streams import say


@asks_server
def publish(  # noqa: PLR0913 - typer makes options of them
    server: Server,
    *,
    action: Annotated[str, typer.Argument(metavar="NAME", help="The action.", show_default=False)],
    members: options.Members = None,
    data: options.Data = None,
    queue: Annotated[
        str | None, typer.Option("--queue", metavar="NAME", help="Its queue; `tasks` unless given.")
    ] = None,
    priority: Annotated[
        int | None, typer.Option("--priority", help="-100 to 100; the highest goes first.")
    ] = None,
    delay: Annotated[
        str | None, typer.Option("--delay", metavar="DURATION", help="Run it so much later: 5m.")
    ] = None,
    run_at: Annotated[
        str | None, typer.Option("--run-at", metavar="TIME", help="Run it then: 2030-01-31T12:00.")
    ] = None,
    expires_at: Annotated[
        str | None,
        typer.Option("--expires-at", metavar="TIME", help="Do not start it after that; or 2h."),
    ] = None,
    max_attempts: Annotated[
        int | None, typer.Option("--max-attempts", help="How often it is tried.")
    ] = None,
    backoff: Annotated[
        str | None,
        typer.Option("--backoff", metavar="base=1,factor=2,cap=60", help="Between attempts."),
    ] = None,
    unique_key: Annotated[
        str | None,
        typer.Option("--unique-key", metavar="TEXT", help="Only one unfinished task has it."),
    ] = None,
    task_key: Annotated[
        str | None,
        typer.Option("--task-key", metavar="TEXT", help="Its `key`: few with it run at once."),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option("--keep", metavar="DURATION", help="How long it is kept when finished."),
    ] = None,
    timeout: Annotated[
        str | None,
        typer.Option("--timeout", metavar="DURATION", help="What an attempt may take."),
    ] = None,
    callback: Annotated[
        str | None, typer.Option("--callback", metavar="URL", help="Is told how it ended.")
    ] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option("--idempotency-key", metavar="TEXT", help="Repeats an earlier publish."),
    ] = None,
    wait: Annotated[
        str | None,
        typer.Option("--wait", metavar="DURATION", help="Wait for its end; show its result."),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Publish a task; show its id, or with --wait its result."""
    wishes: dict[str, Any] = {
        "queue": queue,
        "priority": priority,
        "delay_seconds": whole(seconds("--delay", delay)),
        "run_at": future("--run-at", run_at),
        "expires_at": future("--expires-at", expires_at),
        "max_attempts": max_attempts,
        "backoff": backoff_of(backoff),
        "unique_key": unique_key,
        "key": task_key,
        "keep_result_seconds": whole(seconds("--keep", keep)),
        "timeout_seconds": whole(seconds("--timeout", timeout)),
        "callback": callback,
    }
    input_data = data_of(data, members or ())
    wait_seconds = seconds("--wait", wait)
    published = server.client.publish(action, input_data, idempotency_key=idempotency_key, **wishes)
    if published.duplicate:
        show.note("a task with this unique key is there already, and not finished: this one")
    if wait_seconds is not None:
        _show_end(server.client.wait(published.id, wait_seconds), as_json=as_json)
    elif as_json:
        duplicate = {"duplicate": True} if published.duplicate else {}
        show.document({"id": published.id, "status": published.status} | duplicate)
    else:
        say(published.id)


def _show_end(task: Task, *, as_json: bool) -> None:
    """Show how the task has ended.

    Raises:
        CommandError: Not with a result.
    """
    if as_json:
        show.document(task.document)
    elif task.status == "completed":
        say(show.compact(task.result))
    if task.status != "completed":
        why = f": {show.cell(task.error)}" if task.error else ""
        raise CommandError(f"the task {task.id} is {task.status}{why}")
