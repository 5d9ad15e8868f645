"""What happens to registries."""

import copy
import hashlib

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from portus.accounts.models import User
from portus.accounts.operations import wait_for_sign_ups
from portus.activities.operations import record
from portus.registry.models import Registry, TokenKeyHeader
from portus.teams.namespaces import create_global_namespace, create_personal_namespace


@transaction.atomic
def create_registry(
    *,
    name: str,
    hostname: str,
    use_ssl: bool,
    external_hostname: str | None = None,
    notification_secret: str | None = None,
    actor: User | None,
) -> Registry:
    """Register a registry: with its global namespace, and a personal one for everybody who is there.

    Whether it can be reached is not asked here. Raises ValidationError with the reasons of each field.
    """
    wait_for_sign_ups()
    registry = Registry(
        name=name.strip(),
        hostname=hostname,
        use_ssl=use_ssl,
        external_hostname=external_hostname or None,
        notification_secret_digest=_digest_of(notification_secret) if notification_secret else None,
    )
    _check(registry)
    registry.save()
    create_global_namespace(registry)
    for user in User.objects.people().iterator():
        create_personal_namespace(user, registry)
    record("registry.create", registry, actor=actor, hostname=hostname)
    return registry


@transaction.atomic
def set_notification_secret(registry: Registry, secret: str, *, actor: User | None) -> None:
    """Set the secret that this registry's notifications carry; nothing without it is believed from then on.

    Raises ValidationError for what no header can carry, and for another registry's secret.
    """
    changed = copy.copy(registry)
    changed.notification_secret_digest = _digest_of(secret)
    if registry.notification_secret_digest == changed.notification_secret_digest:
        return
    _check(changed)
    changed.save(update_fields=["notification_secret_digest", "updated_at"])
    record("registry.change_secret", changed, actor=actor)
    registry.notification_secret_digest = changed.notification_secret_digest


@transaction.atomic
def rename_host(registry: Registry, hostname: str, external_hostname: str | None, *, actor: User | None) -> None:
    """Give a registry that moved its new address; its repositories stay, and so do the rights in them.

    Raises ValidationError for a name that is none, or another registry's.
    """
    wait_for_sign_ups()
    changed = copy.copy(registry)
    changed.hostname, changed.external_hostname = hostname, external_hostname or None
    _check(changed)
    changed.save(update_fields=["hostname", "external_hostname", "updated_at"])
    record("registry.change_hostname", changed, actor=actor, old=registry.hostname, new=hostname)
    registry.hostname, registry.external_hostname = changed.hostname, changed.external_hostname


@transaction.atomic
def set_token_key_header(registry: Registry, header: TokenKeyHeader, *, actor: User | None) -> None:
    """Set how tokens for this registry name the key that signed them."""
    if registry.token_key_header == header:
        return
    registry.token_key_header = header
    registry.save(update_fields=["token_key_header", "updated_at"])
    record("registry.change_token_key_header", registry, actor=actor, header=str(header))


def _check(registry: Registry) -> None:
    """Raise ValidationError with the reasons of each field.

    A host name leads to one registry, whichever of its two names it is: tokens and notifications go by it.
    """
    problems: dict[str, list[ValidationError]] = {}
    try:
        registry.full_clean()
    except ValidationError as error:
        problems |= error.error_dict
    if "notification_secret_digest" in problems:  # people know the field by its other name
        problems["notification_secret"] = problems.pop("notification_secret_digest")
    others = Registry.objects.exclude(pk=registry.pk)
    for field in ("hostname", "external_hostname"):
        host = getattr(registry, field)
        if host and field not in problems and others.filter(Q(hostname=host) | Q(external_hostname=host)).exists():
            problems[field] = [ValidationError("Another registry is known by this name.", code="unique")]
    if problems:
        raise ValidationError(problems)


def _digest_of(secret: str) -> str:
    if not secret or not secret.isascii() or not secret.isprintable() or " " in secret:
        problem = ValidationError("Use letters, digits and signs of ASCII, without blanks.", code="invalid")
        raise ValidationError({"notification_secret": problem})
    return secret_digest(secret)


def secret_digest(secret: str) -> str:
    """Return the form in which a secret is stored and looked up."""
    return hashlib.sha256(secret.encode()).hexdigest()
