"""A soak of seconds goes through all kinds; what grows is called so."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.harness import eventually
from tests.soak.kinds import KINDS
from tests.soak.run import soak
from tests.soak.watch import FEWEST, Sample, Series, running_in, sample, series

SAMPLE = Sample(5, 100, 20, 30, 4, 0, 120, 30, 2, 9, 1, 2, 3, 500, 50, 10)


@pytest.mark.system
def test_a_short_soak_sees_every_kind_of_task_end_as_it_should(tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / "server").mkdir()
    report = soak(tmp_path / "server", 8, every_seconds=2, say=said.append)
    assert report.problems == {}
    assert set(report.ended) == {kind.name for kind in KINDS}
    assert len(said) == 1 + len(report.samples) == 6
    last = report.samples[-1]
    assert last.scheduled + last.queued + last.running == 0
    assert all(each.is_flat is None for each in report.series)
    report.save(tmp_path / "results")
    assert json.loads((tmp_path / "results" / "soak.json").read_text())["ended"] == report.ended
    assert (tmp_path / "results" / "soak.txt").read_text().startswith(said[0])


@pytest.mark.parametrize(
    ("name", "last", "is_flat"),
    [
        ("threads", 22, True),
        ("threads", 23, False),
        ("server_mib", 108, True),
        ("server_mib", 109, False),
        ("process_mib", 38, True),
        ("process_mib", 39, False),
    ],
)
def test_what_the_last_quarter_has_more_of_than_the_second_is_not_flat(
    name: str,
    last: float,
    is_flat: bool,  # noqa: FBT001
) -> None:
    grown = replace(SAMPLE, **{name: last})
    found = series([SAMPLE] * 6 + [grown] * 2)
    assert {each.name: each.is_flat for each in found} == {
        each.name: is_flat or each.name != name for each in found
    }


def test_a_start_that_grows_and_a_single_peak_are_flat() -> None:
    low, peak = replace(SAMPLE, server_mib=50), replace(SAMPLE, server_mib=500)
    found = series([low, low, SAMPLE, SAMPLE, SAMPLE, peak, SAMPLE, SAMPLE, SAMPLE])
    assert all(each.is_flat for each in found)


def test_of_few_samples_nothing_is_said() -> None:
    found = series([SAMPLE] * (FEWEST - 1))
    assert {each.is_flat for each in found} == {None}
    assert found[0] == Series("server_mib", 100, 100, None)


def test_a_process_is_seen_by_where_it_runs_and_counts_as_a_zombie_until_it_is_waited_for(
    tmp_path: Path,
) -> None:
    counts = dict.fromkeys(("scheduled", "queued", "running", "completed", "dead", "cancelled"), 0)

    def zombies() -> float:
        return sample(os.getpid(), tmp_path, 0, [], counts).zombies

    before = zombies()
    with subprocess.Popen(["sleep", "60"], cwd=tmp_path) as process:
        assert [each.pid for each in running_in(tmp_path)] == [process.pid]
        process.kill()
        eventually(lambda: zombies() == before + 1, "it is a zombie")
    assert zombies() == before


def test_a_good_action_has_to_complete_and_a_bad_one_to_fail_as_it_does() -> None:
    kinds = {kind.name: kind for kind in KINDS}
    good, bad, waits = (kinds[f"process-{name}"] for name in ("quick", "crashes", "waits"))
    assert good.problem({"status": "completed", "error": None}) is None
    assert good.problem({"status": "dead", "error": "x"}) == "process-quick ended dead: x"
    assert bad.problem({"status": "dead", "error": "killed by SIGSEGV"}) is None
    assert bad.problem({"status": "dead", "error": "killed by SIGKILL"})
    assert bad.problem({"status": "completed", "error": None})
    assert waits.problem({"status": "cancelled", "error": None}) is None
    assert waits.problem({"status": "completed", "error": None})
