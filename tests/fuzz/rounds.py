"""A round of requests at random, against a real server, with all checks of schemathesis."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.harness import ROOT, ServerProcess

TRANSLATES = (
    '{type = "object", required = ["text"], additionalProperties = false,'
    ' properties = {text = {type = "string"}, to = {enum = ["de", "fr"]}}}'
)
SETTINGS = (
    "builtin.fallback=false",
    "actions.resize=tests.actions:resize",
    "actions.translate.external=true",
    f"actions.translate.data_schema={TRANSLATES}",
    "queues.mail.max_length=50",
    "queues.quick.driver=memory",
    # So that no request waits for long on a queue that another one has paused.
    "http.max_wait_seconds=1",
)
"""Those of the server: an action with a schema, a queue that is soon full, one in memory."""


@dataclass(frozen=True, slots=True)
class Round:
    """What came of a round.

    Attributes:
        seed: What its requests were drawn with.
        requests: How many were answered.
        failures: How many kinds of failures were found.
        errors: What went wrong besides.
        seconds: How long it took.
    """

    seed: int
    requests: int
    failures: int
    errors: int
    seconds: float


def server_in(directory: Path) -> ServerProcess:
    """A server for any number of rounds, not yet started."""
    directory.mkdir(parents=True, exist_ok=True)
    return ServerProcess(directory, *SETTINGS)


def play(server: ServerProcess, directory: Path, seed: int, examples: int, most: int) -> Round:
    """Send a round of requests.

    What it prints is in `round-SEED.txt` in the directory, with a curl line for each failure.

    Args:
        server: The server.
        directory: Where its reports go.
        seed: What the requests are drawn with.
        examples: How many each operation gets at most, in each of the phases that draw them.
        most: How many seconds it may take.
    """
    report, printed, count = (directory / f"round-{seed}{end}" for end in (".json", ".txt", ".n"))
    began = time.monotonic()
    with printed.open("w") as output:
        subprocess.run(
            [
                Path(sys.executable).with_name("schemathesis"),
                "run",
                str(server.client.base_url.join("/openapi.json")),
                "--checks=all",
                "--suppress-health-check=all",
                "--generation-database=none",
                f"--seed={seed}",
                f"--max-examples={examples}",
                "--continue-on-failure",
                "--report=json",
                f"--report-json-path={report}",
            ],
            cwd=directory,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "SCHEMATHESIS_HOOKS": "tests.fuzz.hooks",
                "TASK_QUEUE_FUZZ_COUNT": str(count),
            },
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=most,
            check=False,  # its failures are counted
        )
    found: dict[str, Any] = json.loads(report.read_text("utf-8"))
    cases = found["test_cases"]
    return Round(
        seed,
        int(count.read_text()),
        cases["unique_failures"],
        cases["errored"] + len(found["errors"]),
        round(time.monotonic() - began, 1),
    )
