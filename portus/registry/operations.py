"""What happens to registries."""

import copy
import hashlib
from typing import TypedDict, Unpack

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from portus.accounts.models import User
from portus.accounts.operations import wait_for_sign_ups
from portus.activities.operations import record
from portus.fields import field_problem
from portus.registry.models import Registry, TokenKeyHeader
from portus.repositories.models import Repository
from portus.teams.namespaces import create_global_namespace, create_personal_namespace

SHORTEST_SECRET = 16  # characters


class Changes(TypedDict, total=False):
    """What may be changed of a registry; what is not given stays."""

    name: str
    hostname: str
    use_ssl: bool | None
    external_hostname: str | None
    notification_secret: str


def draft_registry(
    *,
    name: str,
    hostname: str,
    use_ssl: bool | None,
    external_hostname: str | None = None,
    notification_secret: str | None = None,
) -> Registry:
    """Return a registry that could be created like this; raise ValidationError with the reasons of each field."""
    registry = Registry(
        name=name.strip(),
        hostname=hostname,
        use_ssl=use_ssl,  # type: ignore[misc]  # null is told apart by _check
        external_hostname=external_hostname or None,
        notification_secret_digest=_digest_of(notification_secret) if notification_secret else None,
    )
    _check(registry)
    return registry


@transaction.atomic
def create_registry(
    *,
    name: str,
    hostname: str,
    use_ssl: bool | None,
    external_hostname: str | None = None,
    notification_secret: str | None = None,
    actor: User | None,
) -> Registry:
    """Register a registry: with its global namespace, and a personal one for everybody who is there.

    Whether it can be reached is not asked here. Raises ValidationError with the reasons of each field.
    """
    wait_for_sign_ups()
    registry = draft_registry(
        name=name, hostname=hostname, use_ssl=use_ssl, external_hostname=external_hostname,
        notification_secret=notification_secret,
    )  # fmt: skip
    registry.save()
    create_global_namespace(registry)
    for user in User.objects.people().iterator():
        create_personal_namespace(user, registry)
    record("registry.create", registry, actor=actor, hostname=hostname)
    return registry


def changed_registry(registry: Registry, **changes: Unpack[Changes]) -> Registry:
    """Return what a registry would be with these changes; raise ValidationError with the reasons of each field.

    While it has repositories, its host name stays: they are at that address, and clients know them by it.
    """
    changed = copy.copy(registry)
    changed.name = changes.get("name", registry.name).strip()
    changed.hostname = changes.get("hostname", registry.hostname)
    if "use_ssl" in changes:
        changed.use_ssl = changes["use_ssl"]  # type: ignore[assignment]  # null is told apart by _check
    changed.external_hostname = changes.get("external_hostname", registry.external_hostname) or None
    if "notification_secret" in changes:
        changed.notification_secret_digest = _digest_of(changes["notification_secret"])
    _check(changed)
    if changed.hostname != registry.hostname and Repository.objects.filter(namespace__registry=registry).exists():
        raise field_problem("hostname", "Registry is not empty, cannot change hostname", "not_empty")
    return changed


@transaction.atomic
def update_registry(registry: Registry, *, actor: User | None, **changes: Unpack[Changes]) -> None:
    """Change name, addresses, encryption or secret, all or none of them.

    Whether it can be reached is not asked here. Raises ValidationError with the reasons of each field.
    """
    wait_for_sign_ups()
    changed = changed_registry(registry, **changes)
    fields = ("name", "use_ssl", "hostname", "external_hostname", "notification_secret_digest")
    different = {field for field in fields if getattr(changed, field) != getattr(registry, field)}
    if not different:
        return
    changed.save(update_fields=[*different, "updated_at"])
    for field in ("name", "use_ssl"):
        if field in different:
            old, new = getattr(registry, field), getattr(changed, field)
            record(f"registry.change_{field}", changed, actor=actor, old=old, new=new)
    if {"hostname", "external_hostname"} & different:
        record("registry.change_hostname", changed, actor=actor, old=registry.hostname, new=changed.hostname)
    if "notification_secret_digest" in different:
        record("registry.change_secret", changed, actor=actor)
    for field in (*fields, "updated_at"):
        setattr(registry, field, getattr(changed, field))


def set_notification_secret(registry: Registry, secret: str, *, actor: User | None) -> None:
    """Set the secret that this registry's notifications carry; nothing without it is believed from then on.

    Raises ValidationError for what no header can carry, for one that can be guessed, and for another registry's secret.
    """
    update_registry(registry, notification_secret=secret, actor=actor)


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
    if "use_ssl" in problems:
        problems["use_ssl"] = [ValidationError("is not included in the list", code="choice")]
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
        raise field_problem("notification_secret", "Use letters, digits and signs of ASCII, without blanks.", "invalid")
    if len(secret) < SHORTEST_SECRET:
        sentence = f"A secret of less than {SHORTEST_SECRET} characters can be guessed."
        raise field_problem("notification_secret", sentence, "secret_too_short")
    return secret_digest(secret)


def secret_digest(secret: str) -> str:
    """Return the form in which a secret is stored and looked up."""
    return hashlib.sha256(secret.encode()).hexdigest()
