"""Who sends a request, and what that may do."""

from dataclasses import dataclass

import falcon

from task_queue.api.auth.scopes import Scope


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sends a request.

    Attributes:
        name: The name of the key, as in the audit log.
        key_id: The public part of a key of the database; None: it has none.
        scopes: What it may do.
        queues: The queues that it is restricted to; None: it sees all of them.
    """

    name: str
    key_id: str | None
    scopes: frozenset[Scope]
    queues: frozenset[str] | None = None

    @property
    def who(self) -> str:
        """What the audit log calls it."""
        return self.name if self.key_id is None else f"{self.name} ({self.key_id})"

    def may(self, scope: Scope) -> bool:
        """Return whether it may do what has this scope.

        `admin` stands for all others. For what is `admin` alone it takes a key that sees all
        queues: what such an operation shows is of all of them.
        """
        if scope is Scope.ADMIN:
            return Scope.ADMIN in self.scopes and self.queues is None
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def sees(self, queue: str) -> bool:
        """Return whether the queue, and what is on it, is there for it."""
        return self.queues is None or queue in self.queues


CALLER_KEY = "task_queue.caller"
"""Where the environment of a request that the dashboard sends inside the process has its caller.

No client can set it: whatever comes as a header begins with `HTTP_` there.
"""

EVERYBODY = Caller("anonymous", None, frozenset(Scope))
"""Who asks where no key is needed: may do all, and sees all."""

NOBODY = Caller("anonymous", None, frozenset(), frozenset())
"""Who asks without a key where one is needed: may see what is open, and nothing of what is here."""


def caller_of(req: falcon.Request) -> Caller:
    """Return who sends this request.

    That is `EVERYBODY` until it has passed the gate, and where no key is needed.
    """
    caller: Caller = getattr(req.context, "caller", EVERYBODY)
    return caller
