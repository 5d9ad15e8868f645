import re

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q

from portus.activities.snapshot import Audience, Snapshot
from portus.fields import ExactCharField, check_storable

check_namespace_name = RegexValidator(
    re.compile(r"\A[a-z0-9]+(?:[._-][a-z0-9]+)*\Z"),
    "A namespace name has lower-case letters, digits, and single dots, dashes or underscores between them.",
    code="namespace_name",
)


class Role(models.IntegerChoices):
    """What a member may do; the numbers are those of Portus 2.4's database."""

    VIEWER = 0, "viewer"
    CONTRIBUTOR = 1, "contributor"
    OWNER = 2, "owner"


class Visibility(models.IntegerChoices):
    """Who may pull besides the members; the numbers are those of Portus 2.4's database."""

    PRIVATE = 0, "private"
    PROTECTED = 1, "protected"
    PUBLIC = 2, "public"


AUDIENCES = {
    Visibility.PRIVATE: Audience.TEAM,
    Visibility.PROTECTED: Audience.SIGNED_IN,
    Visibility.PUBLIC: Audience.PUBLIC,
}


class TeamQuerySet(models.QuerySet["Team"]):
    def not_hidden(self) -> "TeamQuerySet":
        return self.filter(hidden=False)


class Team(models.Model):
    """People with roles. A hidden team exists only to own a personal or the global namespace."""

    name = ExactCharField(max_length=255, unique=True)
    hidden = models.BooleanField(default=False)
    description = models.TextField(blank=True, validators=[check_storable])
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = TeamQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name

    def audit_snapshot(self) -> Snapshot:
        return Snapshot(kind="team", pk=self.pk, name=self.name, audience=Audience.TEAM, team_id=self.pk)


class Membership(models.Model):
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.IntegerField(choices=Role.choices, default=Role.VIEWER)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "user"], name="one_membership_per_person")]


class NamespaceQuerySet(models.QuerySet["Namespace"]):
    def global_ones(self) -> "NamespaceQuerySet":
        return self.filter(global_marker=True)


class Namespace(models.Model):
    """The first part of a repository's name, with the rights that hold below it.

    Without a team it was discovered in the registry and waits for an administrator to assign it.
    """

    name = ExactCharField(max_length=255, validators=[check_namespace_name])
    registry = models.ForeignKey("registry.Registry", on_delete=models.PROTECT, related_name="namespaces")
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.PROTECT, related_name="namespaces")
    visibility = models.IntegerField(choices=Visibility.choices, default=Visibility.PRIVATE)
    description = models.TextField(blank=True, validators=[check_storable])
    # True or NULL, never False: a unique constraint over a nullable column is the one kind of
    # "at most one per registry" that all three databases know.
    global_marker = models.BooleanField(null=True, blank=True, default=None)
    personal_owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="personal_namespaces"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = NamespaceQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["registry", "name"],
                name="namespace_name_once_per_registry",
                violation_error_message="Name has already been taken",
            ),
            models.UniqueConstraint(fields=["registry", "global_marker"], name="one_global_namespace_per_registry"),
            models.UniqueConstraint(fields=["registry", "personal_owner"], name="one_personal_namespace_per_registry"),
            models.CheckConstraint(
                condition=Q(global_marker=None) | (Q(global_marker=True) & ~Q(visibility=Visibility.PRIVATE)),
                name="global_namespace_not_private",
                violation_error_message="The global namespace cannot be private.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_global(self) -> bool:
        return bool(self.global_marker)

    @property
    def clean_name(self) -> str:
        """What people see: the registry's host name for the global namespace, else the name."""
        return self.registry.shown_hostname if self.is_global else self.name

    def audit_snapshot(self) -> Snapshot:
        return Snapshot(
            kind="namespace",
            pk=self.pk,
            name=self.clean_name,
            audience=AUDIENCES[Visibility(self.visibility)],
            namespace_name=self.clean_name,
            team_id=self.team_id,
        )
