"""The settings of actions: one frozen model for each kind."""

import base64
import re
from collections.abc import Collection, Mapping
from ipaddress import ip_network
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    SerializeAsAny,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from task_queue.config.sections import Section, listed

SECRET_PREFIX = "whsec_"  # noqa: S105 - begins a secret
MAX_SECRETS = 5
"""How many secrets sign a request at most: enough for one to follow another."""
SECRET_BYTES = range(24, 65)
"""How long a secret may be (Standard Webhooks, "Signature scheme")."""

ActionTarget = Annotated[str, StringConstraints(pattern=r"^[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*$")]
"""Where an action's function is: `package.module:function`."""


def _like(pattern: str, example: str) -> AfterValidator:
    """Return a check for texts that have to look like this."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            message = f"must look like {example}"
            raise ValueError(message)
        return text

    return AfterValidator(check)


def _is_network(text: str) -> str:
    try:
        ip_network(text)
    except ValueError:
        message = "must be a network, as in 10.1.0.0/16 or fd00::/8"
        raise ValueError(message) from None
    return text


_STATUS = _like(r"[345](\d\d|xx)", "409 or 5xx")

RETRIED = ("408", "425", "429", "5xx")
"""The statuses after which a request is sent again, unless the settings say otherwise."""

VariableName = Annotated[str, _like(r"[A-Za-z_][A-Za-z0-9_]*", "AWS_REGION")]
"""What an environment variable is called."""

HeaderName = Annotated[str, _like(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", "X-Api-Key")]
"""What a header is called (RFC 9110, section 5.6.2)."""

Network = Annotated[str, AfterValidator(_is_network)]
"""A range of addresses."""


def _are_secrets(value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if len(value) > MAX_SECRETS:
        message = f"may have at most {MAX_SECRETS}, not {len(value)}"
        raise ValueError(message)
    for each in value:
        if len(secret_bytes(each.get_secret_value())) not in SECRET_BYTES:
            message = f"must be {SECRET_PREFIX} and Base64 of 24 to 64 bytes"
            raise ValueError(message)
    return value


Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(listed), AfterValidator(_are_secrets)]
"""What signs webhooks."""


class ActionSettings(Section):
    """What all kinds of actions have in common."""

    timeout_seconds: float | None = Field(default=None, gt=0, le=2_592_000)
    """Seconds an attempt may take, at most 30 days; not set: `execution.timeout_seconds`."""


class PythonSettings(ActionSettings):
    """A Python function."""

    python: ActionTarget
    """The function, as `package.module:function`."""

    execution: Literal["thread", "process"] | None = None
    """Where it runs: in a process it can be killed and uses other cores. Not set: in a process if
    `cpu`, else in a thread."""

    cpu: bool = False
    """Whether it computes rather than waits; then it runs in a process."""

    memory_limit_mib: int | None = Field(default=None, ge=16, le=1_048_576)
    """MiB of memory, of its process and all that it starts; with more it is killed. Only in a
    process; not set: no limit."""

    @property
    def in_process(self) -> bool:
        """Whether it runs in a process of its own."""
        return self.execution == "process" or (self.execution is None and self.cpu)

    @model_validator(mode="after")
    def _is_possible(self) -> "PythonSettings":
        if self.memory_limit_mib is not None and not self.in_process:
            message = (
                'memory_limit_mib needs execution = "process": a thread has no memory of its own'
            )
            raise ValueError(message)
        if self.cpu and not self.in_process:
            message = 'cpu = true contradicts execution = "thread"'
            raise ValueError(message)
        return self


class ProgramSettings(ActionSettings):
    """A program."""

    command: tuple[str, ...]
    """The program and its arguments, as a list; no shell reads them."""

    directory: str | None = Field(default=None, min_length=1)
    """The folder in which it runs; not set: where the server was started."""

    pass_environment: tuple[VariableName, ...] = ()
    """Environment variables of the server that it gets besides `PATH`, `HOME`, `LANG`, `LC_ALL` and
    `TZ`."""

    result: Literal["auto", "json", "text"] = "auto"
    """What it writes to standard output: `json`, `text`, or `auto`: JSON if it is JSON, else text.
    What is not of this form fails the task, and so does what is not UTF-8."""

    memory_limit_mib: int | None = Field(default=None, ge=1, le=1_048_576)
    """MiB of memory, of the program and all that it starts; with more it is killed. Not set: no
    limit."""

    @field_validator("command")
    @classmethod
    def _names_a_program(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or not value[0]:
            message = "must begin with a program"
            raise ValueError(message)
        if any("\x00" in word for word in value):
            message = "must not hold the NUL character"
            raise ValueError(message)
        return value


class HttpActionSettings(ActionSettings):
    """A request to an HTTP endpoint."""

    timeout_seconds: float = Field(default=60.0, gt=0, le=2_592_000)
    """Seconds an attempt may take, at most 30 days. Shorter than for other actions, since a server
    that was cut off without a word looks like one that is still at work."""

    http: str
    """The address to which the data is sent as JSON."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    """The request's method. With `GET` and `DELETE` the data goes into the query, else into the
    body."""

    headers: Mapping[HeaderName, SecretStr] = Field(default_factory=dict)
    """Headers to send. They are never shown, and not sent to another scheme, host or port that a
    redirect or the data names."""

    secret: Secrets = ()
    """Signs what is sent, as Standard Webhooks: `whsec_` and Base64 of 24 to 64 bytes. Several in a
    list sign each, so that a new one can follow an old one. Not set: it is not signed."""

    url_in_data: bool = False
    """Whether a `url` in the data takes the place of the address."""

    allow_networks: tuple[Network, ...] = ()
    """Networks that are not public and to which it may connect all the same, as `10.1.0.0/16`."""

    follow_redirects: bool = False
    """Whether to go where a redirect leads, up to five times. One that would lose the data is a
    failure: `303`, and `301` and `302` after `POST`."""

    retry_statuses: Annotated[
        tuple[Annotated[str, BeforeValidator(str), _STATUS], ...], BeforeValidator(listed)
    ] = RETRIED
    """The statuses after which it is sent again, as `409` or, for all of a hundred, `5xx`. After
    any other but `2xx` the task is `dead`. Not set: `408`, `425`, `429` and `5xx`."""

    @field_validator("http")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if not is_http_url(value):
            message = "must be an address that begins with http:// or https://"
            raise ValueError(message)
        return value

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, value: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
        for name, text in value.items():
            secret = text.get_secret_value()
            if not secret.isascii() or not secret.isprintable():
                message = f"the value of {name} must be printable ASCII"
                raise ValueError(message)
        return value


def is_http_url(text: str) -> bool:
    """Return whether the text is an address to which a request can go."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    is_written_well = text.isprintable() and " " not in parts.netloc
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and is_written_well


def secret_bytes(secret: str) -> bytes:
    """Return the bytes of a webhook's secret; none if the text is no secret."""
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError:
        return b""


def statuses(patterns: Collection[str]) -> frozenset[int]:
    """Return the statuses that these name, each as `409` or `5xx`."""
    return frozenset(
        status
        for each in patterns
        for status in range(int(each.replace("x", "0")), int(each.replace("x", "9")) + 1)
    )


class ExternalSettings(ActionSettings):
    """What workers do that ask for tasks over HTTP."""

    external: Literal[True]
    """Whether such workers do it; no consumer of this server runs it then."""

    data_schema: dict[str, Any] | None = None
    """What its data must be, as a JSON Schema (2020-12); not set: anything. `$ref` leads inside it,
    patterns are those of Rust, which take linear time, and `unevaluatedItems` and
    `unevaluatedProperties` are not known."""

    @field_validator("data_schema")
    @classmethod
    def _is_a_schema(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value is not None:
            # Imported where it is needed: importing its library takes a tenth of a second.
            from task_queue.config.data_schema import DataSchema, WrongSchemaError  # noqa: PLC0415

            try:
                DataSchema(value)
            except WrongSchemaError as error:
                message = f"must be a JSON Schema; {error}"
                raise ValueError(message) from None
        return value


KINDS: Mapping[str, type[ActionSettings]] = {
    "python": PythonSettings,
    "command": ProgramSettings,
    "http": HttpActionSettings,
    "external": ExternalSettings,
}
"""The kinds of actions, by the key that each must have."""


def _of_its_kind(value: object) -> object:
    """Return the settings as an object of the kind that their keys name."""
    if isinstance(value, ActionSettings):
        return value
    if isinstance(value, str):
        return _short(value)
    if not isinstance(value, dict):
        message = 'must be "module:function" or a table of keys'
        raise ValueError(message)  # noqa: TRY004 - pydantic's protocol
    kinds = [key for key in KINDS if key in value]
    if len(kinds) != 1:
        message = f"must have one of {', '.join(KINDS)}"
        if kinds:
            message += f", not {' and '.join(kinds)} together"
        elif value:
            message += f"; it has {', '.join(map(str, value))}"
        raise PydanticCustomError("action_kind", "{message}", {"message": message})
    model = KINDS[kinds[0]]
    if unknown := [key for key in value if key not in model.model_fields]:
        known = ", ".join(model.model_fields)
        error = PydanticCustomError("unknown_action_key", "{known}", {"known": known})
        problems = [InitErrorDetails(type=error, loc=(key,), input=None) for key in unknown]
        raise ValidationError.from_exception_data(model.__name__, problems)
    return model.model_validate(value)


def _short(target: str) -> PythonSettings:
    try:
        return PythonSettings(python=target)
    except ValidationError as error:
        (details,) = error.errors()
        problem = InitErrorDetails(type=details["type"], input=target, ctx=details.get("ctx", {}))
        raise ValidationError.from_exception_data("action", [problem]) from None


AnyAction = Annotated[SerializeAsAny[ActionSettings], BeforeValidator(_of_its_kind)]
"""The settings of an action of any kind."""


def has_processes(actions: Mapping[str, Any]) -> bool:
    """Return whether one of these actions, as in a layer of the settings, runs in a process."""
    tables = [each for each in actions.values() if isinstance(each, Mapping)]
    return any(
        table.get("execution") == "process"
        or (table.get("execution") is None and table.get("cpu") in {True, "true", "1"})
        for table in tables
    )
