"""What a worker needs: lease tasks, and settle them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Unpack

from task_queue.api.client.errors import RefusedError
from task_queue.api.client.failure import refusal_of
from task_queue.api.client.flow import Flow
from task_queue.api.client.members import Wishes
from task_queue.api.client.operation import operation
from task_queue.api.client.operations.base import Base, given, one
from task_queue.api.client.request import Request, json_of, post, segment
from task_queue.api.client.results.document import read
from task_queue.api.client.results.leases import Lease, Settled


class LeaseOperations(Base):
    """Tasks for workers."""

    @operation
    def lease(
        self, queue: str = "tasks", *, wait_seconds: int = 0, **wishes: Unpack[Wishes]
    ) -> Flow[Sequence[Lease]]:
        """Lease tasks of external actions to a worker; none if nothing was ready.

        It is repeated until there is an answer. What was leased by an answer that was lost is free
        again once its lease has lapsed.

        Args:
            queue: Whose tasks.
            wait_seconds: How long to wait until there are any.
            wishes: How many, and for how long; see `Wishes`.
        """
        request = Request(
            method="POST",
            path=f"/queues/{segment(queue)}/lease",
            read=_leases,
            body=json_of(given(wishes)),
            wait_seconds=wait_seconds,
            repeatable=True,
        )
        return self._ask(request)

    @operation
    def ack(self, lease: str, result: object = None) -> Flow[Settled]:
        """Complete a leased task with this result; repeated until there is an answer."""
        return self._settle(lease, "ack", {"result": result})

    @operation
    def nack(
        self,
        lease: str,
        error: str,
        *,
        retry_after_seconds: float | None = None,
        permanent: bool = False,
    ) -> Flow[Settled]:
        """Fail a leased task; repeated until there is an answer.

        Args:
            lease: The lease.
            error: Why.
            retry_after_seconds: When to try again; None: after its backoff.
            permanent: Whether to try again is of no use.
        """
        body = {"error": error, "permanent": permanent}
        if retry_after_seconds is not None:
            body["retry_after_seconds"] = retry_after_seconds
        return self._settle(lease, "nack", body)

    @operation
    def release(self, lease: str) -> Flow[Settled]:
        """Give a leased task back, without an attempt; repeated until there is an answer."""
        return self._settle(lease, "release", None)

    @operation
    def extend(
        self,
        lease: str,
        lease_seconds: float,
        *,
        fraction: float | None = None,
        message: str | None = None,
    ) -> Flow[Settled]:
        """Let a lease last so long from now on; repeated until there is an answer.

        Args:
            lease: The lease.
            lease_seconds: How long.
            fraction: How far the task is, 0 to 1.
            message: What it says about that.
        """
        body: dict[str, Any] = {"lease_seconds": lease_seconds}
        if fraction is not None:
            body["progress"] = {"fraction": fraction} | (
                {} if message is None else {"message": message}
            )
        return self._settle(lease, "extend", body)

    @operation
    def settle(
        self, settlements: Iterable[Mapping[str, Any]]
    ) -> Flow[Sequence[Settled | RefusedError]]:
        """Settle up to 100 leases in one commit; repeated until there is an answer.

        Args:
            settlements: Each with `lease` and one of `ack`, `nack`, `release` and `extend`, whose
                value is what the method of this name says: `{"lease": …, "ack": {"result": 3}}`.

        Returns:
            What became of each, in this order: an error if nothing was recorded.
        """
        body = {"settlements": list(settlements)}
        return self._ask(post("/leases/settle", _outcomes, body, repeatable=True))

    def _settle(self, lease: str, verb: str, body: object) -> Flow[Settled]:
        path = f"/leases/{segment(lease)}/{verb}"
        return self._ask(post(path, one(Settled), body, repeatable=True))


def _leases(document: Mapping[str, Any]) -> Sequence[Lease]:
    return tuple(Lease.of(each) for each in document["leases"])


def _outcomes(document: Mapping[str, Any]) -> Sequence[Settled | RefusedError]:
    return tuple(
        read(Settled, each)
        if each["ok"]
        else refusal_of(each["problem"]["status"], each["problem"])
        for each in document["settlements"]
    )
