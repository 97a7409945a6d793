"""The model of an event as a publish, which `requests.cloudevents` reads."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from task_queue.api.requests.bodies import MAX_KEY_CHARS
from task_queue.config.names import MAX_NAME_CHARS, Name

_NO_CONTROL = r"^[^\u0000-\u001f\u007f-\u009f]+$"
_JSON_TYPE = r"^(application/json|[\w!#$&^.-]+/[\w!#$&^.-]+\+json)(;[^\u0000]*)?$"
_Text = Annotated[str, Field(pattern=_NO_CONTROL)]


class CloudEvent(BaseModel):
    """An event (CloudEvents 1.0) as a publish. Other attributes are let pass.

    Attributes:
        specversion: The version of CloudEvents.
        id: With `source` what identifies the event, so that it takes effect once.
        source: Where it happened.
        type: The action.
        data: The action's input.
        datacontenttype: What the data is: JSON, or what has its form.
        data_base64: Data that is no JSON, which is not taken.
        partitionkey: The task's key.
        queue: The queue it goes to; `tasks` if not given.
    """

    model_config = ConfigDict(extra="allow", defer_build=True)

    specversion: Literal["1.0"]
    id: _Text
    source: _Text
    type: Name
    data: dict[str, Any] | None = None
    datacontenttype: Annotated[str, Field(pattern=_JSON_TYPE)] | None = None
    data_base64: None = None
    partitionkey: Annotated[str, Field(pattern=_NO_CONTROL, max_length=MAX_KEY_CHARS)] | None = None
    queue: Annotated[str, Field(pattern=_NO_CONTROL, max_length=MAX_NAME_CHARS)] | None = None
