"""Requests at random find nothing that the description does not say, and no error of the server."""

from pathlib import Path

import pytest

from tests.api.answers import complaints
from tests.fuzz.rounds import play, server_in

MOST_SECONDS = 600


@pytest.mark.system
@pytest.mark.timeout(MOST_SECONDS + 60)
def test_a_round_of_requests_at_random_finds_no_failure(tmp_path: Path) -> None:
    server = server_in(tmp_path / "server")
    try:
        server.start()
        found = play(server, tmp_path, seed=1, examples=6, most=MOST_SECONDS)
        complained = complaints(server)
    finally:
        server.close()
    assert (found.failures, found.errors) == (0, 0), (tmp_path / "round-1.txt").read_text()
    assert found.requests > 300
    assert not complained


def test_no_more_than_three_kinds_of_failures_are_left_out() -> None:
    from tests.fuzz.hooks import EXCLUDED  # noqa: PLC0415 - schemathesis takes two seconds

    assert len(EXCLUDED) <= 3
