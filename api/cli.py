"""The command line: `task-queue serve | run | migrate | config | keys | openapi | version`."""

import gc
import sys
from functools import partial
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated

import typer

from task_queue.actors.actions.prints import fields_of_present_task, keep_log_line, output_is_caught
from task_queue.actors.actions.python.thread import keep_output_open
from task_queue.actors.errors import TaskQueueError
from task_queue.actors.tasks.text import one_line, titled
from task_queue.api import standard_streams
from task_queue.api.commands import completion, dead, queues, schedules, tasks
from task_queue.api.commands.errors import CommandError
from task_queue.api.commands.exporting import export_tasks
from task_queue.api.commands.help import CAPABILITIES, COMMAND_EXAMPLES, EXAMPLES, RUN_EXAMPLES
from task_queue.api.commands.importing import import_tasks
from task_queue.api.commands.options import Force, NewFile
from task_queue.api.commands.publish import publish
from task_queue.api.commands.tail import tail
from task_queue.api.commands.watch import watch
from task_queue.api.request_trace import present_fields
from task_queue.api.standard_streams import say
from task_queue.config import logs
from task_queue.config.layers import Loaded, effective, environment, load
from task_queue.config.logger import get_logger
from task_queue.config.server_address import URL_VARIABLE
from task_queue.config.settings import SettingsError

WRONG_SETTINGS = 2
"""The exit code of wrong usage, too."""

app = typer.Typer(
    help="An HTTP task queue: POST a task, it is on disk; consumers run it in the background.",
    epilog=CAPABILITIES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

keys = typer.Typer(
    help="Make, list and revoke the keys of the HTTP API, with the server running or not.",
    no_args_is_help=True,
)
app.add_typer(keys, name="keys")

SERVER_PANEL = "Commands that ask a server"
_asking = partial(app.command, rich_help_panel=SERVER_PANEL)
_asking(epilog=COMMAND_EXAMPLES)(publish)
app.add_typer(tasks.app, name="tasks", rich_help_panel=SERVER_PANEL)
app.add_typer(queues.app, name="queues", rich_help_panel=SERVER_PANEL)
_asking()(queues.pause)
_asking()(queues.resume)
_asking()(queues.purge)
app.add_typer(dead.app, name="dead", rich_help_panel=SERVER_PANEL)
app.add_typer(schedules.app, name="schedules", rich_help_panel=SERVER_PANEL)
_asking()(tail)
_asking()(watch)
_asking("export")(export_tasks)
_asking("import")(import_tasks)

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="A TOML file with settings.", envvar="TASK_QUEUE_CONFIG"
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="SECTION.KEY=VALUE", help="One setting; wins over all others. Repeatable."
    ),
]


@app.command()
def init(
    directory: Annotated[
        Path, typer.Argument(metavar="[DIRECTORY]", help="Where to.", show_default=False)
    ] = Path(),
) -> None:
    """Write a file of settings, an action and its test to begin with."""
    from task_queue.api.commands.init import init as write  # noqa: PLC0415 - see `serve`

    write(directory)


@app.command(epilog=EXAMPLES)
def serve(
    *,
    config: ConfigFile = None,
    overrides: Overrides = None,
    again: Annotated[
        bool,
        typer.Option("--reload", help="In development: start again when your files change."),
    ] = False,
) -> None:
    """Serve HTTP and run the tasks, until Ctrl-C or SIGTERM."""
    if again:
        from task_queue.api.commands.reloading import serve_again  # noqa: PLC0415 - see below

        read = partial(_load, config, overrides)
        raise SystemExit(serve_again(config, overrides or [], read))
    loaded = _load(config, overrides)
    # Wherever an action leads this process later, and whatever it does to the environment.
    read_again = partial(load, config and config.absolute(), overrides or (), environment())
    keep_output_open()
    stdout = sys.stdout
    # Each command imports what it alone needs: a wrong setting, or `--help`, waits for no server.
    from task_queue.api.server.serve import end_in_time  # noqa: PLC0415
    from task_queue.api.server.serve import serve as serve_http  # noqa: PLC0415

    _collect_garbage()
    exit_code = 1
    try:
        with output_is_caught():
            exit_code = serve_http(loaded, _version(), lambda: read_again().settings, stdout)
    except SettingsError:
        exit_code = WRONG_SETTINGS
        raise
    finally:
        end_in_time(exit_code)
    raise SystemExit(exit_code)


@app.command(epilog=RUN_EXAMPLES)
def run(
    action: Annotated[str, typer.Argument(metavar="NAME", help="The action.", show_default=False)],
    data: Annotated[
        str, typer.Option("--data", metavar="JSON", help="Its data, a JSON object.")
    ] = "{}",
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout", metavar="SECONDS", help="What it may take, in place of its own limit."
        ),
    ] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
) -> None:
    """Run one action here and now, without a server, and show its result."""
    settings = _load(config, overrides).settings
    from task_queue.api.run import UsageError  # noqa: PLC0415 - see `serve`
    from task_queue.api.run import run as run_action  # noqa: PLC0415

    _collect_garbage()
    try:
        exit_code = run_action(settings, action, data, timeout)
    except UsageError as error:
        _complain(error)
        exit_code = WRONG_SETTINGS
    raise SystemExit(exit_code)


@app.command()
def migrate(config: ConfigFile = None, overrides: Overrides = None) -> None:
    """Bring the database's schema to what this version needs, and end."""
    settings = _load(config, overrides).settings
    from task_queue.actors.database import migrate_only  # noqa: PLC0415 - see `serve`

    migrate_only(settings.database)
    say("the schema is up to date")


@app.command()
def backup(
    file: NewFile, *, force: Force = False, config: ConfigFile = None, overrides: Overrides = None
) -> None:
    """Copy the database to FILE, with the server running or not."""
    settings = _load(config, overrides).settings
    from task_queue.actors.database import database  # noqa: PLC0415 - see `serve`
    from task_queue.api.commands.backup import backup as back_up  # noqa: PLC0415

    least = settings.database.min_free_bytes
    back_up(database(settings.database), file, least, force=force)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The backup.", show_default=False)],
    *,
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace a database that is there; it is kept beside."),
    ] = False,
    paused: Annotated[
        bool, typer.Option("--paused", help="Pause all queues, to look at it first.")
    ] = False,
    config: ConfigFile = None,
    overrides: Overrides = None,
) -> None:
    """Put the backup FILE in the place of the database, with no server running."""
    settings = _load(config, overrides).settings
    from task_queue.actors.database import database  # noqa: PLC0415 - see `serve`
    from task_queue.api.commands.restore import restore as put_back  # noqa: PLC0415

    put_back(database(settings.database), file, settings, force=force, paused=paused)


@app.command()
def check(
    *,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what can be mended; servers may run.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
    config: ConfigFile = None,
    overrides: Overrides = None,
) -> None:
    """Look whether all that is stored goes together, with servers running or not."""
    settings = _load(config, overrides).settings
    from task_queue.actors.database import database  # noqa: PLC0415 - see `serve`
    from task_queue.api.commands.check import check as look  # noqa: PLC0415

    raise SystemExit(look(database(settings.database), repair=repair, as_json=as_json))


@keys.command("create")
def create_key(  # noqa: PLR0913, PLR0917 - typer makes options of them
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name.", show_default=False)],
    scopes: Annotated[
        list[str] | None,
        typer.Option(
            "--scope",
            metavar="SCOPE",
            help="What it may do: publish, read, work, operate, or admin for all. Repeatable.",
        ),
    ] = None,
    queues: Annotated[
        list[str] | None,
        typer.Option(
            "--queue", metavar="NAME", help="A queue to restrict it to; all, if none. Repeatable."
        ),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option("--expires", metavar="DURATION", help="How long it holds, as in 90d."),
    ] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
) -> None:
    """Make a key for the HTTP API, and show it, this once."""
    settings = _load(config, overrides).settings
    from task_queue.actors.database import database  # noqa: PLC0415 - see `serve`
    from task_queue.api import key_commands  # noqa: PLC0415

    key, stored = key_commands.drawn(name, scopes or (), queues or (), expires)
    key_commands.create(database(settings.database), key, stored, [*settings.queues])


@keys.command("list")
def list_keys(config: ConfigFile = None, overrides: Overrides = None) -> None:
    """List the keys of the database, without what is secret."""
    settings = _load(config, overrides).settings
    from task_queue.actors.database import database  # noqa: PLC0415 - see `serve`
    from task_queue.api import key_commands  # noqa: PLC0415

    key_commands.list_all(database(settings.database))


@keys.command("revoke")
def revoke_key(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME|ID", help="Its name, its id, or the key.", show_default=False),
    ],
    config: ConfigFile = None,
    overrides: Overrides = None,
) -> None:
    """Let a key hold no longer: every server refuses it within 5 seconds."""
    settings = _load(config, overrides).settings
    from task_queue.actors.database import database  # noqa: PLC0415 - see `serve`
    from task_queue.api import key_commands  # noqa: PLC0415

    key_commands.revoke(database(settings.database), name, settings.auth)


@app.command("config")
def show_config(config: ConfigFile = None, overrides: Overrides = None) -> None:
    """Show the settings in effect and where each came from."""
    loaded = _load(config, overrides)
    from task_queue.api.schedule_settings import check_schedules  # noqa: PLC0415 - see `serve`

    check_schedules(loaded)
    rows = [("setting", "value", "from"), *effective(loaded)]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    # Not a table of rich, which cuts what a narrow screen has no room for.
    for key, value, origin in rows:
        say(f"{key:{widths[0]}}  {value:{widths[1]}}  {origin}")


@app.command()
def doctor(
    config: ConfigFile = None,
    overrides: Overrides = None,
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            metavar="URL",
            envvar=URL_VARIABLE,
            help="The server; that of the settings unless given.",
        ),
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option("--key-file", metavar="FILE", help="A file with the key.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Show one document.")] = False,  # noqa: FBT002
) -> None:
    """Look at settings, database, disk, clocks, server and key; say what to do."""
    from task_queue.api.commands.doctor import doctor as look  # noqa: PLC0415 - see `serve`

    look(config, overrides or [], url, key_file, _version(), as_json=as_json)


app.command()(completion.completion)


@app.command()
def openapi(config: ConfigFile = None, overrides: Overrides = None) -> None:
    """Show what the HTTP API is, as OpenAPI 3.1."""
    settings = _load(config, overrides).settings
    from task_queue.api.describe import openapi as description  # noqa: PLC0415 - see `serve`

    say(description(settings, _version()))


@app.command()
def version() -> None:
    """Show the version."""
    say(f"task-queue {_version()}")


def main() -> None:
    """Run the command; an expected error is one line and its exit code, never a traceback."""
    standard_streams.make_usable()
    completion.complete()
    try:
        app()
    except SettingsError as error:
        _complain(error)
        raise SystemExit(WRONG_SETTINGS) from None
    except CommandError as error:
        _complain(error)
        raise SystemExit(error.exit_code) from None
    except TaskQueueError as error:
        _complain(error)
        raise SystemExit(1) from None
    except Exception as error:  # noqa: BLE001 - a defect: one line, too
        _complain_of_defect(error)
        raise SystemExit(1) from None


def _collect_garbage() -> None:
    """Look for garbage from now on, but never among what was imported, which stays."""
    gc.freeze()
    gc.enable()


def _present_fields() -> dict[str, object]:
    """Return what a line says of the request or the task that its thread is at."""
    return {**present_fields(), **fields_of_present_task()}


def _load(config: Path | None, overrides: list[str] | None) -> Loaded:
    loaded = load(config, overrides or ())
    log = loaded.settings.log
    logs.configure(log.format, log.level, present=_present_fields, keep=keep_log_line)
    if loaded.unused_variables:
        get_logger().warning(
            "environment variables that set nothing; a setting's name has __ before its key,"
            " as in TASK_QUEUE_HTTP__PORT",
            names=loaded.unused_variables,
        )
    return loaded


def _complain(error: Exception) -> None:
    sys.stderr.write(f"task-queue: {error}\n")


def _complain_of_defect(error: Exception) -> None:
    """Say what is wrong with this program, and where: that is what a report needs."""
    where = error.__traceback__
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    place = f"{where.tb_frame.f_code.co_filename}:{where.tb_lineno}" if where else "?"
    text = f"a defect of this program: {titled(error)}, at {place}; please report it"
    sys.stderr.write(f"task-queue: {one_line(text, 1_000)}\n")


def _version() -> str:
    return installed_version("task-queue")
