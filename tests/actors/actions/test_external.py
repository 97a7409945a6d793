"""External actions: what they check, and that nobody here runs them."""

import pytest

from task_queue.actors.actions.external import LEFT_TO_WORKERS, External
from task_queue.actors.actions.registry import Registry
from task_queue.actors.errors import InvalidDataError
from task_queue.actors.tasks.backoff import Backoff
from task_queue.actors.tasks.claim import ClaimedTask, Lease
from task_queue.actors.tasks.failures import Ended
from task_queue.actors.tasks.settlement import nack
from task_queue.actors.tasks.slot import Slot
from task_queue.actors.tasks.states import Status
from task_queue.config.data_schema import DataSchema
from tests.fakes import NOW

SCHEMA = {"properties": {"width": {"type": "integer"}}}
REGISTRY = Registry(
    {"resize": External(SCHEMA, DataSchema(SCHEMA), 9.0), "any": External(None, None, 0.0)}, None
)
CLAIMED = ClaimedTask(Lease("one", 1), "resize", "{}", attempt=2, max_attempts=2)


def test_its_data_is_checked_if_it_has_a_schema() -> None:
    REGISTRY.check("resize", '{"width":1}')
    REGISTRY.check("any", '{"width":"x"}')
    with pytest.raises(InvalidDataError, match=r"data\.width: must be of type"):
        REGISTRY.check("resize", '{"width":"x"}')


def test_the_registry_knows_which_are_external_and_how_long_they_may_take() -> None:
    assert REGISTRY.external == {"resize": 9.0, "any": 0.0}
    assert REGISTRY.knows("resize")
    assert not REGISTRY.runs("resize")
    shown = REGISTRY.described("resize")
    assert shown is not None
    assert (shown["kind"], shown["schema"]) == ("external", SCHEMA)


def test_a_consumer_that_gets_its_task_leaves_it_to_workers_and_no_attempt_is_lost() -> None:
    with pytest.raises(Ended, match=LEFT_TO_WORKERS) as ended:
        REGISTRY.run(CLAIMED, Slot())
    settlement = nack(
        CLAIMED, ended.value.failure, backoff=Backoff(1, 2, 3), now=NOW, random=lambda: 0.5
    )
    assert (settlement.status, settlement.attempt) == (Status.QUEUED, 1)
    assert settlement.external
