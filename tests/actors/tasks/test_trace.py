import pytest

from task_queue.actors.tasks.trace import MAX_STATE_CHARS, Trace, trace_of

ID = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
PARENT = f"00-{ID}-{SPAN}-01"


def test_a_trace_is_kept_as_it_is() -> None:
    assert trace_of(PARENT) == Trace(PARENT)
    assert trace_of(PARENT, "rojo=1,congo=t61") == Trace(PARENT, "rojo=1,congo=t61")


@pytest.mark.parametrize(
    "parent",
    [
        None,
        7,
        "",
        "nonsense",
        PARENT.upper(),
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{ID}-{'0' * 16}-01",
        f"ff-{ID}-{SPAN}-01",
        f"00-{ID}-{SPAN}-01-more",
        f"00-{ID}-{SPAN}-1",
        f"00-{ID}-{SPAN}-0g",
        f"00-{ID[:-1]}-{SPAN}-01",
        f"{PARENT}, {PARENT}",
        f"{PARENT}\n",
    ],
)
def test_what_is_no_traceparent_is_ignored_with_its_tracestate(parent: object) -> None:
    assert trace_of(parent, "rojo=1") is None


def test_of_a_later_version_what_is_known_is_passed_on_as_version_00() -> None:
    assert trace_of(f"01-{ID}-{SPAN}-03-what-else") == Trace(PARENT)
    assert trace_of(f"cc-{ID}-{SPAN}-02") == Trace(f"00-{ID}-{SPAN}-00")
    assert trace_of(f"cc-{ID}-{SPAN}-02.more") is None


def test_blanks_around_members_and_empty_members_are_left_out() -> None:
    assert trace_of(f" {PARENT}\t", "rojo=1 ,, \tcongo=t61,") == Trace(PARENT, "rojo=1,congo=t61")
    assert trace_of(PARENT, " , ") == Trace(PARENT)


@pytest.mark.parametrize(
    "state",
    [
        "rojo",
        "Rojo=1",
        "rojo=",
        "rojo=1=2",
        "rojo=1,rojo=2",
        "rojo=\x7f",
        "rojo=é",
        f"{'a' * 257}=1",
        f"rojo={'1' * 257}",
        ",".join(f"k{number}=1" for number in range(33)),
    ],
)
def test_a_tracestate_that_is_wrong_is_dropped_and_the_trace_kept(state: str) -> None:
    assert trace_of(PARENT, state) == Trace(PARENT)


def test_keys_of_tenants_may_begin_with_a_digit() -> None:
    assert trace_of(PARENT, "1a@vendor=x y") == Trace(PARENT, "1a@vendor=x y")


def test_of_a_long_tracestate_the_long_members_go_first_then_the_last() -> None:
    long, short = f"long={'x' * 200}", [f"k{number}={'v' * 60}" for number in range(9)]
    kept = trace_of(PARENT, ",".join([long, *short]))
    assert kept is not None
    assert kept.tracestate == ",".join(short[:8])
    assert len(kept.tracestate) <= MAX_STATE_CHARS < len(",".join(short))
