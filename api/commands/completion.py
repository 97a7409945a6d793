"""`task-queue completion`: what a shell needs to complete commands and options."""

from typing import Annotated, Literal

import typer
from typer import completion as typer_completion

from task_queue.api.standard_streams import say

_VARIABLE = "_TASK_QUEUE_COMPLETE"
"""How a shell asks for words: the library's name for this program."""


def completion(
    shell: Annotated[
        Literal["bash", "zsh", "fish"], typer.Argument(help="Which one.", show_default=False)
    ],
) -> None:
    """Print what makes a shell complete commands: eval "$(task-queue completion bash)"."""
    script = typer_completion.get_completion_script(  # type: ignore[attr-defined] # not in `__all__`
        prog_name="task-queue", complete_var=_VARIABLE, shell=shell
    )
    say(script)


def complete() -> None:
    """Let typer answer a shell that asks for words; else nothing happens."""
    typer_completion.completion_init()  # type: ignore[attr-defined] # as above
