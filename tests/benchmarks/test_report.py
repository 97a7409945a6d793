"""Results survive as JSON, and reports say what is in them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from tests.benchmarks import measures
from tests.benchmarks.own.variants import DEFAULT, NAME, PREFETCH_500, QUIET
from tests.benchmarks.report import markdown
from tests.benchmarks.results import Results, Summary, Taken
from tests.benchmarks.run import run
from tests.benchmarks.shown import shown, summarized
from tests.benchmarks.system import Measure, Sample, Size, Unit
from tests.benchmarks.targets import Target, targets


class Peer:
    """A system that takes no time."""

    stands_on = "nothing"
    caveats = ("Keeps nothing.",)

    def __init__(self, name: str, *, lacks: str | None = None, fails_in: int = 0) -> None:
        self.name = name
        self._lacks = lacks
        self._fails_in = fails_in
        self.rounds = 0
        self.stopped = 0

    def missing(self) -> str | None:
        return self._lacks

    def measure(self, directory: Path, size: Size) -> Iterator[Sample]:
        assert list(directory.iterdir()) == []
        self.rounds += 1
        try:
            yield Sample(self.name, measures.DRAIN.key, 100.0 * self.rounds)
            if self.rounds == self._fails_in:
                message = "it fell over"
                raise RuntimeError(message)
            yield Sample(self.name, measures.LATENCY_P50.key, 0.004 * size.of(1))
        finally:
            self.stopped += 1


def run_all(*systems: Peer, rounds: int = 3) -> tuple[Results, list[int]]:
    """What came of it, and how many samples were saved each time."""
    saved: list[int] = []
    results = no_results(rounds)
    run(
        systems,
        results,
        lambda _: rounds,
        lambda: saved.append(len(results.taken)),
        Console(quiet=True),
    )
    return results, saved


def no_results(rounds: int = 1) -> Results:
    return Results({"CPU": "fast"}, "make bench", rounds, scale=1.0)


def results_of(*figures: tuple[str, Measure, float, str]) -> Results:
    results = no_results()
    for name in dict.fromkeys(name for name, *_ in figures):
        results.add_system(Peer(name))
    for name, measure, value, variant in figures:
        results.taken.append(Taken(1, Sample(name, measure.key, value, variant)))
    return results


def verdict(results: Results, title: str) -> bool | None:
    [target] = [each for each in targets(results) if each.title == title]
    return target.is_met


def test_the_systems_take_turns_round_after_round() -> None:
    results, saved = run_all(Peer("one"), Peer("two"))
    turns = [(taken.round, taken.sample.system) for taken in results.taken]
    assert list(dict.fromkeys(turns)) == [(n, name) for n in (1, 2, 3) for name in ("one", "two")]
    assert saved == [2, 4, 6, 8, 10, 12]
    assert results.of("one", "drain") == Summary(200, 100, 300)


def test_what_a_system_lacks_leaves_it_out_by_name() -> None:
    results, _ = run_all(Peer("one"), Peer("two", lacks="redis-server is not installed"))
    assert results.missing == {"two": "redis-server is not installed"}
    assert {taken.sample.system for taken in results.taken} == {"one"}
    assert "Left out: two. redis-server is not installed." in markdown(results)


def test_a_system_that_fails_is_named_and_the_others_go_on() -> None:
    failing, other = Peer("one", fails_in=2), Peer("two")
    results, _ = run_all(failing, other)
    assert results.failed == {"one": "round 2: RuntimeError: it fell over"}
    assert (failing.rounds, failing.stopped, other.rounds) == (2, 2, 3)
    assert "**Failed: one.** round 2: RuntimeError: it fell over" in markdown(results)


def test_an_interrupted_run_stops_what_it_measures() -> None:
    class Interrupted(Console):
        def print(self, *_: object, **__: object) -> None:
            raise KeyboardInterrupt

    peer = Peer("one")
    with pytest.raises(KeyboardInterrupt):
        run([peer], no_results(), lambda _: 1, lambda: None, Interrupted(quiet=True))
    assert peer.stopped == 1


def test_results_come_back_from_json_as_they_were(tmp_path: Path) -> None:
    results, _ = run_all(Peer("one"), Peer("two", lacks="all"), Peer("three", fails_in=1))
    results.save(tmp_path / "results.json")
    assert Results.load(tmp_path / "results.json") == results


def test_a_peer_is_shown_beside_ours_with_what_it_lacks() -> None:
    text = markdown(
        results_of(
            ("Huey", measures.PUBLISH, 4_500, ""),
            ("Huey", measures.LATENCY_P50, 0.007, ""),
            (NAME, measures.HTTP_PUBLISH_ONE, 1_200, ""),
            (NAME, measures.LATENCY_P50, 0.003, ""),
            (NAME, measures.DRAIN, 18_000, PREFETCH_500.name),
        )
    )
    lines = text.splitlines()
    ours = lines.index(f"| {NAME} [1] | 1,200/s | — | 3.00 ms | — | nothing |")
    assert lines[ours + 1] == f"| {NAME}, prefetch 500 | — | 18,000/s | — | — | nothing |"
    assert "| Huey [1] | 4,500/s | — | 7.00 ms | — | nothing |" in lines
    assert "1. Keeps nothing." in lines


def test_over_http_the_best_peer_is_the_yardstick() -> None:
    text = markdown(
        results_of(
            (NAME, measures.HTTP_PUBLISH, 3_000, ""),
            ("Huey behind HTTP", measures.HTTP_PUBLISH, 1_000, ""),
            ("Celery behind HTTP", measures.HTTP_PUBLISH, 500, ""),
        )
    )
    assert f"| {NAME}, default settings | 3,000/s | — | — | — | 3.0 | nothing |" in text
    assert "| Celery behind HTTP [1] | 500/s | — | — | — | 0.5 | nothing |" in text


@pytest.mark.parametrize(("ours", "met"), [(3_000, True), (2_999, False)])
def test_a_target_is_met_at_its_bound(ours: float, met: bool) -> None:  # noqa: FBT001
    results = results_of(
        (NAME, measures.HTTP_PUBLISH, ours, ""),
        ("Huey behind HTTP", measures.HTTP_PUBLISH, 1_000, ""),
        ("Celery behind HTTP", measures.HTTP_PUBLISH, 500, ""),
    )
    assert verdict(results, "publish over HTTP ÷ best peer, default settings") is met


def test_less_is_better_where_the_bound_is_the_most() -> None:
    results = results_of(
        (NAME, measures.LATENCY_P50, 0.003, ""),
        ("RQ", measures.LATENCY_P50, 0.005, ""),
        ("Celery", measures.LATENCY_P50, 0.007, ""),
        ("Celery behind HTTP", measures.HTTP_LATENCY_P50, 0.006, ""),
    )
    assert verdict(results, "publish → result, p50, over HTTP ÷ best peer's own client") is False
    assert verdict(results, "publish → result, p50, over HTTP ÷ best peer behind HTTP") is True


def test_the_drain_is_judged_at_each_variant() -> None:
    results = results_of(
        (NAME, measures.DRAIN, 3_000, ""),
        (NAME, measures.DRAIN, 14_000, PREFETCH_500.name),
        (NAME, measures.DRAIN, 16_000, QUIET.name),
        ("Huey", measures.DRAIN, 1_500, ""),
    )
    assert verdict(results, f"drain ÷ Huey, {DEFAULT.title}") is False
    assert verdict(results, f"drain ÷ Huey, {PREFETCH_500.title}") is False
    assert verdict(results, f"drain ÷ Huey, {QUIET.title}") is True


@pytest.mark.parametrize(("ratio", "met"), [(1.8, True), (1.79, False)])
def test_a_second_process_has_to_bring_most_of_a_core(ratio: float, met: bool) -> None:  # noqa: FBT001
    results = results_of(
        (NAME, measures.CPU_ONE_PROCESS, 19, ""),
        (NAME, measures.CPU_TWO_THREADS, 18, ""),
        (NAME, measures.CPU_TWO_TO_ONE, ratio, ""),
    )
    assert verdict(results, "50 ms of pure Python, two processes ÷ one") is met
    assert "| 50 ms of pure Python, two threads | 18/s |" in markdown(results)


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    assert {target.is_met for target in targets(results_of())} == {None}
    assert Target("a", None, 1, Unit.RATIO, at_least=True).cells()[2:] == ["—", "not measured"]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (12_345.6, Unit.PER_SECOND, "12,346/s"),
        (0.000_456_7, Unit.SECONDS, "457 µs"),
        (0.004_567, Unit.SECONDS, "4.57 ms"),
        (0.045_67, Unit.SECONDS, "45.7 ms"),
        (1.234, Unit.SECONDS, "1.23 s"),
        (85.34, Unit.MIB, "85.3 MiB"),
        (0.26, Unit.PERCENT, "0.3 %"),
        (123.4, Unit.MICROSECONDS, "123 µs"),
        (0.613, Unit.RATIO, "0.61"),
    ],
)
def test_a_figure_has_as_many_digits_as_mean_something(value: float, unit: Unit, text: str) -> None:
    assert shown(value, unit) == text


def test_a_figure_of_several_rounds_shows_how_far_apart_they_are() -> None:
    assert summarized(Summary(2, 1, 3), Unit.PER_SECOND) == "2/s (1 to 3)"
    assert summarized(Summary(0.5, 0.4, 2), Unit.SECONDS) == "500 ms (400 ms to 2.00 s)"
    assert summarized(Summary(0.5, 0.4, 0.6), Unit.RATIO) == "0.50 (0.40 to 0.60)"
    assert summarized(Summary(2, 2, 2), Unit.PER_SECOND) == "2/s"
    assert summarized(None, Unit.PER_SECOND) == "—"


def test_the_same_results_draw_the_same_plots(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from tests.benchmarks.charts import draw  # noqa: PLC0415 - needs matplotlib

    results = results_of(
        (NAME, measures.DRAIN, 18_000, PREFETCH_500.name),
        ("Huey", measures.DRAIN, 1_500, ""),
    )
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        draw(results, tmp_path / name)
    [one] = (tmp_path / "one").iterdir()
    assert one.name == "drain.svg"
    assert ">18,000<" in one.read_text()
    assert one.read_bytes() == (tmp_path / "two" / "drain.svg").read_bytes()
