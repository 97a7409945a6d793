"""What all documents share.

They describe, and tests hold real answers against them. Nothing is serialised by them: where many
tasks pass, that would take longer than all the rest of an answer.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

State = Literal["scheduled", "queued", "running", "completed", "dead", "cancelled"]
"""The states that users see."""
Count = Annotated[int, Field(ge=0)]
"""How many there are of something."""


class Document(BaseModel):
    """What all documents share: no member is left out but those with a default, none is added."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)
