"""What happens to registries."""

import hashlib

from django.db import transaction

from portus.accounts.models import User
from portus.activities.operations import record
from portus.registry.models import Registry, TokenKeyHeader
from portus.teams.operations import create_global_namespace, create_personal_namespace


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
    registry = Registry(
        name=name,
        hostname=hostname,
        use_ssl=use_ssl,
        external_hostname=external_hostname or None,
        notification_secret_digest=secret_digest(notification_secret) if notification_secret else None,
    )
    registry.full_clean()
    registry.save()
    create_global_namespace(registry)
    for user in User.objects.people().iterator():
        create_personal_namespace(user, registry)
    record("registry.create", registry, actor=actor, hostname=hostname)
    return registry


@transaction.atomic
def set_notification_secret(registry: Registry, secret: str, *, actor: User | None) -> None:
    """Set the secret that this registry's notifications carry; nothing without it is believed from then on."""
    digest = secret_digest(secret)
    if registry.notification_secret_digest == digest:
        return
    registry.notification_secret_digest = digest
    registry.full_clean()
    registry.save(update_fields=["notification_secret_digest", "updated_at"])
    record("registry.change_secret", registry, actor=actor)


@transaction.atomic
def rename_host(registry: Registry, hostname: str, external_hostname: str | None, *, actor: User | None) -> None:
    """Give a registry that moved its new address; its repositories stay, and so do the rights in them.

    Raises ValidationError for a name that is none, or another registry's.
    """
    before = registry.hostname
    registry.hostname, registry.external_hostname = hostname, external_hostname or None
    registry.full_clean()
    registry.save(update_fields=["hostname", "external_hostname", "updated_at"])
    record("registry.change_hostname", registry, actor=actor, old=before, new=hostname)


@transaction.atomic
def set_token_key_header(registry: Registry, header: TokenKeyHeader, *, actor: User | None) -> None:
    """Set how tokens for this registry name the key that signed them."""
    if registry.token_key_header == header:
        return
    registry.token_key_header = header
    registry.save(update_fields=["token_key_header", "updated_at"])
    record("registry.change_token_key_header", registry, actor=actor, header=str(header))


def secret_digest(secret: str) -> str:
    """Return the form in which a secret is stored and looked up."""
    return hashlib.sha256(secret.encode()).hexdigest()
