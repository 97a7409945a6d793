"""The actor that brings the schema to head before anything else starts."""

from collections.abc import Callable

from task_queue.actors.runtime.actor import Actor, Life


class MigrationActor(Actor):
    """Runs the migrations once, in its `setup`, and ends; nothing else starts unless they succeed.

    Its success is final, so the supervisor never restarts it; its failure stops the start-up, and
    the program exits with 1.
    """

    def __init__(self, life: Life, *, migrate: Callable[[], None]) -> None:
        """Store what to run.

        Args:
            life: This actor's life.
            migrate: Brings the schema to head, or raises `MigrationError` or
                `StoreUnavailableError`.
        """
        super().__init__(life)
        self._migrate = migrate

    def setup(self) -> None:
        """Migrate, and end."""
        self._migrate()
        self.stop()
