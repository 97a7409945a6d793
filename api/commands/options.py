"""The options and arguments that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Show the server's document, for programs.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Data = Annotated[
    str | None,
    typer.Option(
        "--data", metavar="JSON|@FILE|-", help="The data, an object; - reads standard input."
    ),
]
Members = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[MEMBER=VALUE]...",
        help="Members of the data: JSON if it is such, as in width=3, else text.",
        show_default=False,
    ),
]
OnQueue = Annotated[str | None, typer.Option("--queue", metavar="NAME", help="On this queue.")]
WithAction = Annotated[
    str | None, typer.Option("--action", metavar="NAME", help="With this action.")
]
WithError = Annotated[
    str | None, typer.Option("--error", metavar="TEXT", help="With this text in its error.")
]
OfErrorGroup = Annotated[
    str | None,
    typer.Option("--error-group", metavar="TEXT", help="Of this group of `dead groups`."),
]
NewFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="The file to write.", show_default=False)
]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there.")]
