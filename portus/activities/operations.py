"""Writing the audit trail."""

from datetime import datetime

from django.utils import timezone

from portus.activities.models import Activity
from portus.activities.snapshot import Actor, Auditable


def record(
    key: str,
    subject: Auditable,
    recipient: Auditable | None = None,
    *,
    actor: Actor | None,
    at: datetime | None = None,
    actor_name: str = "",
    **parameters: str | int | bool | None,
) -> Activity:
    """Store that `actor` did `key` to `subject`, and return the row. Call it before the subject is deleted.

    No actor means Portus itself; `actor_name` names somebody who acted elsewhere and has no account here.
    """
    snapshot = subject.audit_snapshot()
    other = recipient.audit_snapshot() if recipient else None
    return Activity.objects.create(
        key=key,
        occurred_at=at or timezone.now(),
        actor_id=actor.pk if actor else None,
        actor_name=actor.shown_name if actor else actor_name,
        subject_kind=snapshot.kind,
        subject_id=snapshot.pk,
        subject_name=snapshot.name,
        namespace_name=snapshot.namespace_name,
        recipient_kind=other.kind if other else "",
        recipient_id=other.pk if other else None,
        recipient_name=other.name if other else "",
        parameters=parameters,
        audience=snapshot.audience,
        audience_team_id=snapshot.team_id,
        audience_user_id=snapshot.owner_id,
    )
