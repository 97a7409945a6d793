"""The command line: `task-queue serve | migrate | config | version`."""

import sys
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated

import typer

from actors.errors import TaskQueueError
from actors.system import migrate_only
from api.server import serve as serve_http
from config import logs
from config.settings import Loaded, SettingsError, effective, load

app = typer.Typer(
    help="An HTTP task queue: POST a task, it is on disk; consumers run it in the background.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

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
def serve(config: ConfigFile = None, overrides: Overrides = None) -> None:
    """Serve HTTP and run the tasks, until Ctrl-C or SIGTERM."""
    settings = _load(config, overrides).settings
    raise SystemExit(serve_http(settings, _version()))


@app.command()
def migrate(config: ConfigFile = None, overrides: Overrides = None) -> None:
    """Bring the database's schema to what this version needs, and end."""
    settings = _load(config, overrides).settings
    migrate_only(settings.database)
    typer.echo("the schema is up to date")


@app.command("config")
def show_config(config: ConfigFile = None, overrides: Overrides = None) -> None:
    """Show the settings in effect and where each came from."""
    rows = [("setting", "value", "from"), *effective(_load(config, overrides))]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    for key, value, origin in rows:  # not a table of rich's: it cuts what a narrow screen cuts
        typer.echo(f"{key:{widths[0]}}  {value:{widths[1]}}  {origin}")


@app.command()
def version() -> None:
    """Show the version."""
    typer.echo(f"task-queue {_version()}")


def main() -> None:
    """Run the command; an expected error is one line and its exit code, never a traceback."""
    try:
        app()
    except SettingsError as error:
        _complain(error)
        raise SystemExit(2) from None
    except TaskQueueError as error:
        _complain(error)
        raise SystemExit(1) from None


def _load(config: Path | None, overrides: list[str] | None) -> Loaded:
    loaded = load(config, overrides or ())
    logs.configure(loaded.settings.log.format, loaded.settings.log.level)
    return loaded


def _complain(error: Exception) -> None:
    sys.stderr.write(f"task-queue: {error}\n")


def _version() -> str:
    return installed_version("task-queue")
