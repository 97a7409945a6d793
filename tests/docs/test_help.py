"""What `--help` shows works."""

import os
import re
import subprocess
import sys

import pytest

from tests.docs.curl import needs_curl
from tests.docs.pages import PAGES, blocks
from tests.docs.test_commands import Serve, output_of
from tests.harness import DEADLINE_SECONDS, ROOT

CAPABILITIES = {
    "queues": ("queues", '"queue":', "/queues"),
    "priority": ("priorities", '"priority":'),
    "later": ("delays", '"delay_seconds":', '"run_at":', '"expires_at":'),
    "schedules": ("cron schedules", "-X PUT $Q/schedules/"),
    "retries": ("retries with backoff", '"max_attempts":'),
    "dead letters": ("dead letters", "/dead-letters", "/redrive", "/retry", "-X DELETE"),
    "cancel": ("cancelling", "/cancel", "/purge"),
    "pause": ("pausing", "/pause", "/resume"),
    "uniqueness": ("unique keys", '"unique_key":', "Idempotency-Key:"),
    "batches": ("batches", "/tasks/batch"),
    "limits": ("limits", "with the same key", '"key":'),
    "retention": ("retention", '"keep_result_seconds":'),
    "listing": ("tasks?status=",),
    "progress": ("progress",),
    "keys": ("Keys with scopes", "Authorization: Bearer", "/audit"),
}
"""The words by which one finds each of them in the help."""


@pytest.mark.system
def test_a_page_lists_the_commands_of_the_program() -> None:
    listed = {
        command
        for page in PAGES
        for block in blocks(page.read_text("utf-8"))
        for command in re.findall(r"^task-queue (\w+) +(?=\w)", block.text, re.MULTILINE)
    }
    known = set(re.findall(r"^\W*(\w+)  ", help_of().partition("Commands")[2], re.MULTILINE))
    assert listed
    assert listed == known


@pytest.mark.system
def test_the_help_names_every_capability() -> None:
    words = " ".join(f"{help_of()} {help_of('serve')}".split()).lower()
    missing = {
        name: word
        for name, all_words in CAPABILITIES.items()
        for word in all_words
        if word.lower() not in words
    }
    assert missing == {}


@pytest.mark.system
@needs_curl
def test_every_command_of_the_help_is_understood(serve: Serve) -> None:
    server = serve().start()
    task_id = server.publish("sum")
    server.wait_for_status(task_id, "completed")
    text = help_of("serve").replace("ID", task_id)
    # What goes on in the next line does so inside of quotes.
    commands = re.findall(r"^ +(\w+) +(curl (?:[^'\n]|'[^']*')*)", text, re.MULTILINE)
    assert len(commands) > 10
    for name, command in commands:
        shown = command.strip()
        asked = f"Q={server.client.base_url}; {shown} -o /dev/null -w '%{{http_code}}'"
        # 409: a finished task cannot be cancelled, nor a completed one be retried.
        status = output_of(asked, server.directory)
        assert status in {"200", "201", "202", "204", "409"}, (name, shown)


def help_of(*command: str) -> str:
    """What the program says about itself, or about one of its commands."""
    done = subprocess.run(
        [sys.executable, "-m", "task_queue", *command, "--help"],
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=True,
    )
    return done.stdout
