"""The whole database as a few dicts: what each write does to it, said plainly."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from math import isinf
from typing import Any

from task_queue.actors.errors import (
    BadRowError,
    ConflictError,
    KeyReusedError,
    NotFoundError,
    OverLimitError,
    TaskQueueError,
)
from task_queue.actors.messages.base import Recipient
from task_queue.actors.messages.changes import (
    CancelTask,
    DeleteSchedule,
    DeleteTask,
    Purge,
    PutSchedule,
    Redrive,
    RetryTask,
)
from task_queue.actors.messages.pruner import Pruned
from task_queue.actors.messages.queue import (
    Claimed,
    PauseKept,
    Renewed,
    SuspectClaimed,
    Tended,
    Unblocked,
)
from task_queue.actors.messages.scheduler import Fired, SchedulesLoaded
from task_queue.actors.messages.writer import (
    Claim,
    ClaimSuspect,
    Fire,
    Insert,
    KeyPlace,
    LoadSchedules,
    Prune,
    Renew,
    Report,
    SetPaused,
    Settle,
    Tend,
)
from task_queue.actors.store.commit import is_plain
from task_queue.actors.store.notices import AnyWrite, Notices
from task_queue.actors.tasks.claim import Claimant, ClaimedTask, Lease, Terms
from task_queue.actors.tasks.clock import TOLERANCE_SECONDS
from task_queue.actors.tasks.conditions import ACCEPTED, Conditions, Published
from task_queue.actors.tasks.error_group import error_group
from task_queue.actors.tasks.limits import NO_LIMITS, QueueLimits, Room
from task_queue.actors.tasks.schedule import Schedule
from task_queue.actors.tasks.settlement import EXPIRED, Failure, Settlement
from task_queue.actors.tasks.states import FINAL, Outcome, Status
from task_queue.actors.tasks.task import Receipt, Task, rank

Row = dict[str, Any]
"""A row of a table, column by column, without its number."""
WAITING = (Status.SCHEDULED, Status.BLOCKED, Status.QUEUED)


class Model:
    """What the database holds, and what a commit must tell.

    Attributes:
        rows: The tasks by id, in the order in which they were published.
        attempts: The attempts that ended otherwise than well, or left something on standard error,
            in the order in which they did.
        paused: The queues that are paused.
        schedules: By name.
        remembered: The rows of the idempotency keys by key, with receipts in place of their text.
    """

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.attempts: list[Row] = []
        self.paused: set[str] = set()
        self.schedules: dict[str, Schedule] = {}
        self.remembered: dict[str, Row] = {}
        self._now = 0.0
        self._notices = Notices()
        self._places: dict[KeyPlace, Recipient] = {}

    def commit(self, writes: Sequence[AnyWrite], now: float) -> Notices:
        """Do all of this at once, or one by one where one of them may spoil the others."""
        self._now = now
        try:
            return self._commit(writes)
        finally:
            for row in self.rows.values():
                is_dead = row["status"] is Status.DEAD
                row["error_group"] = error_group(row["error"]) if is_dead else None

    def _commit(self, writes: Sequence[AnyWrite]) -> Notices:
        if not self._has_bad(writes):
            return self._together(writes)
        notices = Notices()
        for write in writes:
            if self._has_bad([write]):
                notices.failed.append((write, BadRowError()))
            else:
                notices.add(self._together([write]))
        return notices

    def unfinished(self) -> list[Row]:
        """The tasks that are not final."""
        return [row for row in self.rows.values() if row["status"] not in FINAL]

    def _has_bad(self, writes: Sequence[AnyWrite]) -> bool:
        plain = [write for write in writes if isinstance(write, Insert) and is_plain(write)]
        if self._is_known(task for insert in plain for task in insert.tasks):
            return True
        leases = [write.settlement.lease for write in writes if isinstance(write, Settle)]
        if len(leases) < 2:
            return False  # one alone is told that it was refused
        return len(set(leases)) < len(leases) or not all(map(self._held, leases))

    def _is_known(self, tasks: Iterable[Task]) -> bool:
        times = Counter(task.id for task in tasks)
        return any(number > 1 or task_id in self.rows for task_id, number in times.items())

    def _together(self, writes: Sequence[AnyWrite]) -> Notices:
        self._notices = Notices()
        self._places = {}
        for kind, do in self._in_order():
            for write in writes:
                if isinstance(write, kind):
                    do(write)
        for place in sorted(self._places):
            if self._unblock(*place):
                self._notices.other.append((self._places[place], Unblocked()))
        claims: list[Claim | ClaimSuspect] = [
            *(write for write in writes if isinstance(write, ClaimSuspect)),
            *(write for write in writes if isinstance(write, Claim)),
        ]
        for claim in sorted(claims, key=lambda claim: claim.claimant.queue):
            if isinstance(claim, Claim):
                self._claim(claim)
            else:
                self._claim_suspect(claim)
        return self._notices

    def _in_order(self) -> Sequence[tuple[type[Any] | tuple[type[Any], ...], Callable[..., None]]]:
        return (
            (Insert, self._insert_plain),
            (Insert, self._insert_guarded),
            (Report, self._report),
            (Settle, self._settle),
            (Renew, self._renew),
            (Tend, self._tend),
            (tuple(self._changes()), self._change),
            (SetPaused, self._set_paused),
            (LoadSchedules, self._load_schedules),
            (Fire, self._fire),
            (Prune, self._prune),
        )

    # --- publishing -------------------------------------------------------------------------

    def _insert_plain(self, insert: Insert) -> None:
        if is_plain(insert):
            for task in insert.tasks:
                self._add(task)
            self._notices.inserts.append(insert)

    def _insert_guarded(self, insert: Insert) -> None:
        if is_plain(insert):
            return
        try:
            published = self._published(insert)
        except TaskQueueError as error:
            self._notices.failed.append((insert, error))
            return
        self._notices.inserts.append(insert)
        if insert.waiter is not None:
            self._notices.answers.append((insert.waiter, published))
        for task in insert.tasks:
            if task.status is Status.BLOCKED:
                limit = _limits(insert, task.queue).concurrency_per_key
                self._places[KeyPlace(task.queue, task.options.key or "", limit)] = insert.requester

    def _published(self, insert: Insert) -> Published:
        conditions = insert.conditions or Conditions()
        once = conditions.idempotency
        kept = None if once is None else self.remembered.get(once.key)
        if once is not None and kept is not None and kept["expires_at"] > self._now:
            if kept["fingerprint"] != once.fingerprint:
                raise KeyReusedError
            return Published(receipts=kept["receipts"], replayed=True, answered=ACCEPTED)
        before = dict(self.rows)
        try:
            if self._is_known(task for task in insert.tasks if task.options.is_plain):
                raise BadRowError
            receipts = tuple(map(self._add_unique, insert.tasks))
            room = {
                queue: self._room(queue, limits)
                for queue, limits in conditions.limits.items()
                if limits.bound_publishes
            }
        except TaskQueueError:
            self.rows = before
            raise
        if once is not None:
            self.remembered[once.key] = {
                "key": once.key,
                "fingerprint": once.fingerprint,
                "receipts": receipts,
                "expires_at": once.expires_at,
                "answered": None if once.waits else ACCEPTED,
            }
        return Published(receipts=receipts, room=room)

    def _room(self, queue: str, limits: QueueLimits) -> Room:
        data = [row["data"] for row in self.unfinished() if row["queue"] == queue]
        length, size = len(data), sum(len(text.encode()) for text in data)
        if limits.max_length and length > limits.max_length:
            raise OverLimitError("", "length", limits.max_length)
        if limits.max_bytes and size > limits.max_bytes:
            raise OverLimitError("", "bytes", limits.max_bytes)
        return Room(
            limits.max_length - length if limits.max_length else None,
            limits.max_bytes - size if limits.max_bytes else None,
        )

    def _add_unique(self, task: Task) -> Receipt:
        holder = self._holder(task.queue, task.options.unique_key)
        if holder is not None:
            return Receipt(holder["id"], holder["status"].shown, duplicate=True)
        self._add(task)
        return Receipt(task.id, task.status.shown, duplicate=False)

    def _holder(self, queue: str, unique_key: str | None) -> Row | None:
        """The task that keeps this unique key from others: not one that was asked to stop."""
        for row in self.unfinished():
            its = (row["queue"], row["unique_key"], row["cancel_requested_at"])
            if unique_key is not None and its == (queue, unique_key, None):
                return row
        return None

    def _add(self, task: Task) -> None:
        row = task._asdict() | asdict(task.options) | asdict(task.course)
        del row["options"], row["course"]
        self.rows[task.id] = row | {"lease_id": None, "leased_until": None}

    # --- claiming and settling --------------------------------------------------------------

    def _claim(self, claim: Claim) -> None:
        leased = self._leased(claim.claimant, claim.limit, suspects=False)
        claimed = self._startable(leased, claim.claimant.now)
        taken = 0
        while taken < len(claimed) and (taken < claim.free or not claimed[taken].must_not_wait):
            taken += 1
        for task in claimed[taken:]:
            self._undo(self.rows[task.lease.task_id], Status.QUEUED)
        more = len(leased) == claim.limit or taken < len(claimed)
        self._notices.other.append((claim.requester, Claimed(tuple(claimed[:taken]), more)))

    def _claim_suspect(self, claim: ClaimSuspect) -> None:
        claimed = self._startable(
            self._leased(claim.claimant, 1, suspects=True), claim.claimant.now
        )
        self._notices.other.append(
            (claim.requester, SuspectClaimed(claimed[0] if claimed else None))
        )

    def _leased(self, claimant: Claimant, limit: int, *, suspects: bool) -> list[Row]:
        ready = [
            row
            for row in self.rows.values()
            if row["queue"] == claimant.queue
            and row["queue"] not in self.paused
            and row["status"] is Status.QUEUED
            and (row["losses"] > 0) is suspects
        ]
        ready.sort(key=lambda row: row["rank"])  # of equals the older stays first
        for row in ready[:limit]:
            row.update(
                status=Status.RUNNING,
                attempt=row["attempt"] + 1,
                lease_id=claimant.lease_id,
                leased_until=claimant.leased_until,
                counted_from=claimant.now,
                started_at=claimant.now,
                worker=claimant.node,
                ended_at=None,
                progress=None,
                progress_message=None,
            )
        return ready[:limit]

    def _startable(self, leased: Sequence[Row], now: float) -> list[ClaimedTask]:
        claimed = []
        for row in leased:
            if row["expires_at"] is not None and row["expires_at"] <= now:
                self._undo(row, Status.DEAD, processed_at=int(now), error=EXPIRED)
            else:
                claimed.append(_claimed(row))
        return claimed

    def _undo(self, row: Row, status: Status, **columns: object) -> None:
        row.update(
            columns,
            status=status,
            attempt=row["attempt"] - 1,
            lease_id=None,
            leased_until=None,
            counted_from=None,
            started_at=None,
            worker=None,
        )

    def _held(self, lease: Lease) -> Row | None:
        row = self.rows.get(lease.task_id)
        return row if row is not None and row["lease_id"] == lease.lease_id else None

    def _settle(self, settle: Settle) -> None:
        settlement = settle.settlement
        row = self._held(settlement.lease)
        if row is not None:
            self._record(row, settlement)
            _write(row, settlement)
        self._notices.settled[settle.requester].append((settlement.lease, row is not None))
        if settle.place is not None:
            self._places[settle.place] = settle.requester

    def _record(self, row: Row, settlement: Settlement) -> None:
        if settlement.failure is not None or settlement.stderr is not None:
            failure = settlement.failure or Failure("", Outcome.COMPLETED)
            began = settlement.started_at
            self.attempts.append(
                {
                    "task_id": row["id"],
                    "number": row["attempt"],
                    "started_at": row["started_at"] if began is None else began,
                    "ended_at": settlement.ended_at,
                    "worker": row["worker"],
                    "outcome": failure.outcome,
                    "error": failure.error,
                    "traceback": failure.traceback,
                    "stderr": settlement.stderr,
                }
            )

    def _renew(self, renew: Renew) -> None:
        lost = []
        for lease in sorted(renew.leases, key=lambda lease: lease.task_id):
            row = self._held(lease)
            if row is None:
                lost.append(lease)
            else:
                row.update(leased_until=renew.leased_until, counted_from=self._now)
        self._notices.other.append((renew.requester, Renewed(tuple(lost))))

    def _report(self, report: Report) -> None:
        if (row := self._held(report.progress.lease)) is not None:
            progress = report.progress
            row.update(progress=progress.fraction, progress_message=progress.message)

    # --- tending ----------------------------------------------------------------------------

    def _tend(self, tend: Tend) -> None:
        own = [row for row in self.rows.values() if row["queue"] == tend.queue]
        limit = tend.concurrency_per_key
        recounted = sum(_recount(row, tend.due) for row in own) if tend.recounts else 0
        ready = 0
        for row in own:
            if row["status"] is Status.SCHEDULED and row["run_at"] <= tend.due:
                has_to_ask = row["key"] is not None and limit
                row["status"] = Status.BLOCKED if has_to_ask else Status.QUEUED
                if has_to_ask:
                    self._places[KeyPlace(tend.queue, row["key"], limit)] = tend.requester
                ready += 1
        swept = set()
        if tend.sweep_after is not None:
            blocked = {row["key"] for row in own if row["status"] is Status.BLOCKED}
            swept = {key for key in blocked if key > tend.sweep_after}
        for key in swept:
            self._places[KeyPlace(tend.queue, key, limit)] = tend.requester
        running = [row for row in own if row["status"] is Status.RUNNING]
        lapsed = [_claimed(row) for row in running if row["leased_until"] <= tend.lapsed]
        cancelling = [_lease(row) for row in running if row["cancel_requested_at"] is not None]
        is_paused = tend.queue in self.paused
        tended = Tended(
            ready,
            tuple(lapsed),
            tuple(cancelling),
            is_paused,
            swept=len(swept),
            recounted=recounted,
        )
        self._notices.other.append((tend.requester, tended))

    def _unblock(self, queue: str, key: str, limit: int) -> int:
        same = [row for row in self.rows.values() if (row["queue"], row["key"]) == (queue, key)]
        taken = [row for row in same if row["status"] in {Status.QUEUED, Status.RUNNING}]
        blocked = [row for row in same if row["status"] is Status.BLOCKED]
        blocked.sort(key=lambda row: row["rank"])
        freed = blocked[: max(0, limit - len(taken))] if limit else blocked
        for row in freed:
            row["status"] = Status.QUEUED
        return len(freed)

    def _prune(self, prune: Prune) -> None:
        ended = [row for row in self.unfinished() if _end_if_late(row, prune.now)]
        forgotten = [
            key for key, kept in self.remembered.items() if kept["expires_at"] <= prune.now
        ]
        for key in forgotten:
            del self.remembered[key]
        old = [row for row in self.rows.values() if _is_old(row, prune)]
        for row in old:
            self._forget(row)
        removed = len(ended) + len(forgotten) + len(old)
        self._notices.other.append((prune.requester, Pruned(removed, None)))

    def _forget(self, row: Row) -> None:
        del self.rows[row["id"]]
        self.attempts = [each for each in self.attempts if each["task_id"] != row["id"]]

    # --- what users do ----------------------------------------------------------------------

    def _changes(self) -> dict[type[Any], Callable[[Any], object]]:
        return {
            CancelTask: self._cancel,
            RetryTask: self._retry,
            DeleteTask: self._delete,
            Redrive: self._redrive,
            Purge: self._purge,
            PutSchedule: lambda put: self._put_schedule(put.schedule),
            DeleteSchedule: self._delete_schedule,
        }

    def _change(self, change: Any) -> None:  # noqa: ANN401 - each with an answer of its own
        try:
            answer = self._changes()[type(change)](change)
        except TaskQueueError as error:
            self._notices.failed.append((change, error))
        else:
            self._notices.answers.append((change.reply_to, answer))

    def _find(self, task_id: str) -> Row:
        if task_id not in self.rows:
            raise NotFoundError
        return self.rows[task_id]

    def _cancel(self, change: CancelTask) -> Status:
        row = self._find(change.task_id)
        if row["status"] in FINAL:
            raise ConflictError
        if row["status"] is not Status.RUNNING:
            _cancel(row, change.now)
        elif row["cancel_requested_at"] is None:
            row["cancel_requested_at"] = int(change.now)
        return Status(row["status"])

    def _retry(self, change: RetryTask) -> Status:
        row = self._find(change.task_id)
        if row["status"] not in {Status.DEAD, Status.CANCELLED}:
            raise ConflictError
        if self._holder(row["queue"], row["unique_key"]) is not None:
            raise ConflictError
        _put_back(row, change.now, change.now)
        return Status.QUEUED

    def _redrive(self, change: Redrive) -> int:
        count = 0
        for task_id, run_at in sorted(change.run_at.items()):
            row = self.rows.get(task_id)
            if row is None or row["status"] is not Status.DEAD:
                continue
            if self._holder(row["queue"], row["unique_key"]) is None:
                _put_back(row, run_at, change.now)
                count += 1
        return count

    def _delete(self, change: DeleteTask) -> None:
        row = self._find(change.task_id)
        if row["status"] not in FINAL:
            raise ConflictError
        self._forget(row)

    def _purge(self, change: Purge) -> int:
        waiting = [
            row
            for row in self.rows.values()
            if row["queue"] == change.queue
            and row["status"] in WAITING
            and not change.created_until < row["created_at"] <= change.now + TOLERANCE_SECONDS
        ]
        waiting.sort(key=lambda row: (WAITING.index(row["status"]), row["created_at"]))
        for row in waiting[: change.limit]:
            _cancel(row, change.now)
        return len(waiting[: change.limit])

    def _set_paused(self, write: SetPaused) -> None:
        if write.paused:
            self.paused.add(write.queue)
        else:
            self.paused.discard(write.queue)
        self._notices.answers.append((write.waiter, None))
        self._notices.other.append((write.requester, PauseKept(write.paused)))

    # --- schedules --------------------------------------------------------------------------

    def _put_schedule(self, schedule: Schedule) -> Schedule:
        if (present := self.schedules.get(schedule.name)) is not None:
            schedule = replace(
                schedule,
                next_at=present.next_at if present.same_as(schedule) else schedule.next_at,
                last_at=present.last_at,
                set_back=present.set_back,
                created_at=present.created_at,
            )
        self.schedules[schedule.name] = schedule
        return schedule

    def _delete_schedule(self, change: DeleteSchedule) -> None:
        if self.schedules.pop(change.name, None) is None:
            raise NotFoundError

    def _load_schedules(self, load: LoadSchedules) -> None:
        if load.configured is not None:
            names = {self._put_schedule(schedule).name for schedule in load.configured}
            for name, schedule in list(self.schedules.items()):
                if schedule.configured and name not in names:
                    del self.schedules[name]
        by_name = [self.schedules[name] for name in sorted(self.schedules)]
        due = tuple(schedule for schedule in by_name if schedule.next_at <= load.until)
        self._notices.other.append((load.requester, SchedulesLoaded(due, all=isinf(load.until))))

    def _fire(self, fire: Fire) -> None:
        schedule = self.schedules.get(fire.name)
        if schedule is None or schedule.next_at != fire.due_at:
            return
        last_at = schedule.last_at if fire.occurrence is None else fire.occurrence
        self.schedules[fire.name] = replace(
            schedule,
            next_at=fire.next_at,
            last_at=last_at,
            set_back=schedule.set_back + fire.anew,
        )
        is_new = False
        if (task := fire.task) is not None:
            is_there = any(
                row["occurrence"] == task.options.occurrence for row in self.rows.values()
            )
            is_new = not is_there and self._holder(task.queue, task.options.unique_key) is None
            if is_new:
                self._add(task)
        self._notices.other.append((fire.requester, Fired(fire, is_new)))


def _limits(insert: Insert, queue: str) -> QueueLimits:
    return NO_LIMITS if insert.conditions is None else insert.conditions.limits[queue]


def _lease(row: Row) -> Lease:
    return Lease(row["id"], row["lease_id"])


def _claimed(row: Row) -> ClaimedTask:
    terms = Terms(
        row["key"], row["expires_at"], row["backoff"], row["postponed"], row["timeout_seconds"]
    )
    return ClaimedTask(
        _lease(row),
        row["action"],
        row["data"],
        row["attempt"],
        row["max_attempts"],
        row["losses"],
        terms,
        row["run_at"],
    )


def _write(row: Row, settlement: Settlement) -> None:
    row.update(
        status=settlement.status,
        attempt=settlement.attempt,
        losses=settlement.losses,
        result=settlement.result,
        processed_at=settlement.processed_at,
        ended_at=settlement.ended_at,
        postponed=settlement.postponed,
        lease_id=None,
        leased_until=None,
    )
    if settlement.status is not Status.COMPLETED:
        row["counted_from"] = settlement.ended_at
    if settlement.status is not Status.QUEUED:  # given back, it keeps its last error
        row["error"] = settlement.error
    if row["cancel_requested_at"] is not None and settlement.status not in FINAL:
        ended = settlement.ended_at
        at = row["cancel_requested_at"] if ended is None else int(ended)
        row.update(status=Status.CANCELLED, processed_at=at)
    for name in ("run_at", "started_at"):
        if (moment := getattr(settlement, name)) is not None:
            row[name] = moment
    if settlement.ended_at is None:  # it never began
        row.update(started_at=None, worker=None)


def _recount(row: Row, now: float) -> bool:
    """Whether it was made by a clock that was ahead, and is counted anew."""
    ahead = now + TOLERANCE_SECONDS
    ends = {Status.SCHEDULED: "run_at", Status.RUNNING: "leased_until"}
    match row["status"]:
        case Status.SCHEDULED | Status.RUNNING as status:
            began = row["counted_from"]
            if began is None or began <= ahead:
                return False
            row.update({ends[status]: row[ends[status]] - (began - now), "counted_from": now})
            return True
        case Status.QUEUED:
            fair = rank(now, row["priority"])
            is_behind = row["rank"] > ahead or row["created_at"] > ahead
            if not is_behind or row["rank"] - fair + now <= ahead:
                return False
            row["rank"] = fair
            return True
    return False


def _cancel(row: Row, now: float) -> None:
    row.update(status=Status.CANCELLED, cancel_requested_at=int(now), processed_at=int(now))


def _end_if_late(row: Row, now: float) -> bool:
    """Whether it was too late to run it."""
    expires_at = row["expires_at"]
    if row["lease_id"] is not None or expires_at is None or expires_at > now:
        return False
    row.update(status=Status.DEAD, error=EXPIRED, processed_at=int(now))
    return True


def _is_old(row: Row, prune: Prune) -> bool:
    """Whether it was kept long enough."""
    if row["status"] not in FINAL:
        return False
    now, term = int(prune.now), row["keep_result_seconds"]
    if term is not None:
        return bool(row["processed_at"] <= now - term)
    # What is so new that no term can be over is not looked at, whatever the clock did since.
    is_looked_at = prune.sweep and row["created_at"] <= now - min(prune.retention.values())
    return bool(is_looked_at and row["processed_at"] <= now - prune.retention[row["status"]])


def _put_back(row: Row, run_at: float, now: float) -> None:
    # One with a key may have to wait for others: its queue finds out.
    ready = run_at <= now and row["key"] is None
    row.update(
        status=Status.QUEUED if ready else Status.SCHEDULED,
        attempt=0,
        postponed=0,
        run_at=run_at,
        counted_from=now if run_at > now else None,
        rank=rank(now, row["priority"]),
        processed_at=None,
        cancel_requested_at=None,
        expires_at=None,
        progress=None,
        progress_message=None,
    )
