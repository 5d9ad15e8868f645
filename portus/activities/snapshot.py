"""What the audit trail keeps of a thing, so that a row reads the same after the thing is gone."""

from dataclasses import dataclass
from typing import Protocol

from django.db import models


class Audience(models.TextChoices):
    """Who may read an activity: the rule that held when it was written."""

    PUBLIC = "public", "everybody"
    SIGNED_IN = "signed_in", "every signed-in user"
    TEAM = "team", "members of the team, and administrators"
    ACTOR = "actor", "the person it is about, and administrators"
    ADMINS = "admins", "administrators"


@dataclass(frozen=True)
class Snapshot:
    """One subject as it is now.

    `team_id` says whose members may read under `Audience.TEAM`, `owner_id` which user under `Audience.ACTOR`.
    """

    kind: str
    pk: int | None
    name: str
    audience: Audience
    namespace_name: str = ""
    team_id: int | None = None
    owner_id: int | None = None


class Auditable(Protocol):
    """A thing that activities can be about."""

    def audit_snapshot(self) -> Snapshot: ...


class Actor(Protocol):
    """Somebody with an account who does things."""

    @property
    def pk(self) -> int: ...

    @property
    def shown_name(self) -> str: ...
