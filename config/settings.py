"""All settings of one process, and the rules that more than one section has a part in."""

from collections.abc import Iterator, Mapping

from pydantic import ValidationError, ValidationInfo, field_validator
from pydantic_core import InitErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from task_queue.config.actions import (
    ActionSettings,
    AnyAction,
    ExternalSettings,
    HttpActionSettings,
    ProgramSettings,
    PythonSettings,
)
from task_queue.config.callbacks import CALLBACKS, DELIVERY, callback_fault
from task_queue.config.names import Name
from task_queue.config.network import (
    AuthSettings,
    CallbackSettings,
    HttpSettings,
    KeySettings,
    MetricsSettings,
    TraceSettings,
    UiSettings,
)
from task_queue.config.sections import (
    BuiltinSettings,
    DatabaseSettings,
    ExecutionSettings,
    Frozen,
    LogSettings,
    ProcessSettings,
    QueueSettings,
    RetentionSettings,
    ScheduleSettings,
    ShutdownSettings,
    SupervisorSettings,
)

__all__ = [
    "ActionSettings",
    "AuthSettings",
    "BuiltinSettings",
    "CallbackSettings",
    "DatabaseSettings",
    "ExecutionSettings",
    "ExternalSettings",
    "HttpActionSettings",
    "HttpSettings",
    "KeySettings",
    "LogSettings",
    "MetricsSettings",
    "ProcessSettings",
    "ProgramSettings",
    "PythonSettings",
    "QueueSettings",
    "RetentionSettings",
    "ScheduleSettings",
    "Settings",
    "SettingsError",
    "ShutdownSettings",
    "SupervisorSettings",
    "TraceSettings",
    "UiSettings",
]

PREFIX = "TASK_QUEUE_"
"""The beginning of the names of our environment variables."""


class SettingsError(Exception):
    """The configuration cannot be used; the message has one line per problem."""


class Settings(BaseSettings):
    """All settings of one process, loaded once and validated together; see `layers.load`."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        case_sensitive=True,
        env_prefix=PREFIX.lower(),
        env_nested_delimiter="__",
        enable_decoding=False,  # A variable sets one key; JSON for a whole section is refused.
    )

    http: HttpSettings
    auth: AuthSettings
    ui: UiSettings
    metrics: MetricsSettings
    traces: TraceSettings
    callbacks: CallbackSettings
    database: DatabaseSettings
    queues: Frozen[Name, QueueSettings]
    """The queues by name; `tasks` is always there and the one of a task that names none. With
    `callbacks.secret` there is `callbacks`, too, the queue of what is told."""
    retention: RetentionSettings
    builtin: BuiltinSettings
    actions: Frozen[Name, AnyAction]
    """The user's own actions by name."""
    execution: ExecutionSettings
    schedules: Frozen[Name, ScheduleSettings]
    """What is published at set times, by name."""
    process: ProcessSettings
    supervisor: SupervisorSettings
    shutdown: ShutdownSettings
    log: LogSettings

    @field_validator("queues")
    @classmethod
    def _can_tell(
        cls, queues: Mapping[str, QueueSettings], info: ValidationInfo
    ) -> Mapping[str, QueueSettings]:
        if "callbacks" not in info.data:  # it is wrong, which is an error of its own
            return queues
        secret = info.data["callbacks"].secret
        problems = [
            InitErrorDetails(type=_fault(fault), loc=(name, key), input=getattr(queue, key))
            for name, queue in queues.items()
            for key, fault in _faults(name, queue, tells=bool(secret))
        ]
        if problems:
            raise ValidationError.from_exception_data(cls.__name__, problems)
        return queues

    @field_validator("actions")
    @classmethod
    def _leave_the_delivery_alone(
        cls, actions: Mapping[str, ActionSettings], info: ValidationInfo
    ) -> Mapping[str, ActionSettings]:
        if DELIVERY in actions and "callbacks" in info.data and info.data["callbacks"].secret:
            fault = _fault("belongs to what tells callbacks; without callbacks.secret it is free")
            problem = InitErrorDetails(type=fault, loc=(DELIVERY, "[key]"), input=DELIVERY)
            raise ValidationError.from_exception_data(cls.__name__, [problem])
        return actions

    @field_validator("schedules")
    @classmethod
    def _publish_to_queues_there_are(
        cls, schedules: Mapping[str, ScheduleSettings], info: ValidationInfo
    ) -> Mapping[str, ScheduleSettings]:
        queues = list(info.data.get("queues", ()))  # A list, as a value may be unhashable.
        error = PydanticCustomError(
            "unknown_queue", "must be a queue; known are {queues}", {"queues": ", ".join(queues)}
        )
        problems = [
            InitErrorDetails(type=error, loc=(name, "task", "queue"), input=schedule.task["queue"])
            for name, schedule in schedules.items()
            if queues and "queue" in schedule.task and schedule.task["queue"] not in queues
        ]
        if problems:
            raise ValidationError.from_exception_data(cls.__name__, problems)
        return schedules


def _faults(name: str, queue: QueueSettings, *, tells: bool) -> Iterator[tuple[str, str]]:
    """Yield keys of a queue by which it could not tell how tasks end, and what is wrong."""
    if name == CALLBACKS and tells and queue.driver == "memory":
        yield "driver", "must be database: what is told must not be lost"
    if not queue.callback:
        return
    if not tells:
        yield "callback", "needs callbacks.secret, which is not set"
    elif name == CALLBACKS:
        yield "callback", "must be empty: what this queue tells is not told of"
    elif queue.driver == "memory":
        yield "callback", 'needs driver = "database"'
    elif (fault := callback_fault(queue.callback)) is not None:
        yield "callback", fault


def _fault(predicate: str) -> PydanticCustomError:
    return PydanticCustomError("rule", "{predicate}", {"predicate": predicate})
