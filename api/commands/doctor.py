"""`task-queue doctor`: looks at all that is needed, and says what to do."""

import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

from task_queue.api.commands import show
from task_queue.api.commands.errors import FAILED, CommandError
from task_queue.api.commands.findings import Finding, fail
from task_queue.api.commands.local_checks import checked_here
from task_queue.api.commands.server import connected
from task_queue.api.commands.server_checks import checked_there, unreachable
from task_queue.api.standard_streams import say
from task_queue.config.layers import Loaded, load
from task_queue.config.network import HttpSettings
from task_queue.config.settings import SettingsError

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - nothing listens here


def doctor(  # noqa: PLR0913 - whom to ask, and how
    config: Path | None,
    overrides: list[str],
    url: str | None,
    key_file: Path | None,
    version: str,
    *,
    as_json: bool,
) -> None:
    """Show what is found, one line each; the first thing that fails makes the exit code 1.

    Args:
        config: The file with the settings of a server on this machine.
        overrides: As for `--set`.
        url: The server; None: the one of the settings.
        key_file: As everywhere.
        version: This program's.
        as_json: Whether to show one document at the end.
    """
    found = []
    for finding in _looked(config, overrides, url, key_file, version):
        found.append(finding)
        if not as_json:
            _show(finding)
    if as_json:
        show.document({"findings": [asdict(each) for each in found]})
    if any(each.state == "fail" for each in found):
        raise SystemExit(FAILED)


def _looked(
    config: Path | None,
    overrides: list[str],
    url: str | None,
    key_file: Path | None,
    version: str,
) -> Iterator[Finding]:
    is_here = url is None or url.startswith("unix:") or urlsplit(url).hostname in _LOOPBACK
    if is_here or config is not None or overrides:
        loaded: Loaded | None = None
        try:
            loaded = load(config, overrides)
        except SettingsError as error:
            yield from (fail("settings", line) for line in str(error).splitlines())
        if loaded is not None:
            yield from checked_here(loaded)
            url = url or _url_of(loaded.settings.http)
    try:
        with connected(url=url, key_file=key_file) as server:
            yield from checked_there(server, version)
    except CommandError as error:
        yield unreachable(error)


def _url_of(http: HttpSettings) -> str:
    """Return where a server with these settings listens."""
    if http.socket:
        return f"unix:{os.path.abspath(http.socket)}"  # noqa: PTH100 - links stay what they are
    host = "127.0.0.1" if http.host in _EVERYWHERE else http.host
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{http.port}{http.url_prefix}"


def _show(finding: Finding) -> None:
    remedy = f": {finding.remedy}" if finding.remedy else ""
    state = (f"{finding.state:4}", show.COLOURS[finding.state])
    say(show.styled(state, f"  {finding.what:11}  {finding.text}{remedy}"))
