"""Commands, typed in this process."""

import pytest

from tests.api.commands.typed import Type, typing_at
from tests.harness import ServerProcess


@pytest.fixture
def typed(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Type:
    """Types a command, at this server."""
    return typing_at(server, monkeypatch, capsys)
