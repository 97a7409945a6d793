"""Our own loggers: they go by our set-up of structlog, whatever an action tells structlog later."""

from collections.abc import Mapping
from typing import Any

import structlog

_kept: Mapping[str, Any] | None = None


def get_logger() -> Any:  # noqa: ANN401 - a structlog logger, whose type depends on its set-up
    """Return a logger that goes by the set-up that is kept; before there is one, by the present."""
    return _Logger()


def keep_set_up() -> None:
    """Let all our loggers go by the present set-up of structlog from now on."""
    global _kept  # noqa: PLW0603 - as structlog has it
    _kept = structlog.get_config()


class _Logger:
    """Made when it is first used after a set-up."""

    _made: tuple[object, Any] = None, None  # of the class, or a copy would look for it for ever

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a logger has
        if _kept is None:
            return getattr(structlog.get_logger(), name)
        made_by, logger = self._made
        if made_by is not _kept:
            logger = structlog.wrap_logger(
                _kept["logger_factory"](),
                processors=_kept["processors"],
                wrapper_class=_kept["wrapper_class"],
                context_class=_kept["context_class"],
            ).bind()
            self._made = _kept, logger
        return getattr(logger, name)
