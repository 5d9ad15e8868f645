from django.conf import settings
from django.db import models

from portus.activities.snapshot import Audience


class Activity(models.Model):
    """One line of the audit trail. Everything that is shown is a copy, so deleting a subject changes no row."""

    key = models.CharField(max_length=64)
    occurred_at = models.DateTimeField()

    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="activities", db_index=False
    )
    actor_name = models.CharField(max_length=255, blank=True)  # blank: Portus itself

    subject_kind = models.CharField(max_length=32)
    subject_id = models.BigIntegerField(null=True)
    subject_name = models.CharField(max_length=512)
    namespace_name = models.CharField(max_length=255, blank=True)
    recipient_kind = models.CharField(max_length=32, blank=True)
    recipient_id = models.BigIntegerField(null=True)
    recipient_name = models.CharField(max_length=255, blank=True)
    parameters = models.JSONField(default=dict)

    audience = models.CharField(max_length=16, choices=Audience.choices)
    audience_team_id = models.BigIntegerField(null=True)
    audience_user_id = models.BigIntegerField(null=True)

    class Meta:
        ordering = ["-occurred_at", "-pk"]
        indexes = [
            models.Index(fields=["occurred_at", "id"], name="activity_by_time"),
            models.Index(fields=["audience", "occurred_at"], name="activity_by_audience"),
            models.Index(fields=["audience_team_id", "occurred_at"], name="activity_by_team"),
            models.Index(fields=["actor", "occurred_at"], name="activity_by_actor"),
            models.Index(fields=["subject_kind", "subject_id", "occurred_at"], name="activity_by_subject"),
        ]
