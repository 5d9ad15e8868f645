"""Options of Portus 2.4 whose feature this version does not have: a file that sets them starts us, and is told so."""

from collections.abc import Iterable

# Sections or options, and what it is that this version does not do. Who builds the feature takes its line away.
NOT_YET = {
    "email": "it sends no mail",
    "gravatar": "it shows no pictures of users",
    "delete.garbage_collector": "it deletes no images by age",
    "ldap": "nobody signs in with LDAP",
    "oauth.google_oauth2": "nobody signs in with Google",
    "oauth.open_id": "nobody signs in with OpenID",
    "oauth.openid_connect": "nobody signs in with OpenID Connect",
    "oauth.github": "nobody signs in with GitHub",
    "oauth.gitlab": "nobody signs in with GitLab",
    "oauth.bitbucket": "nobody signs in with Bitbucket",
    "check_ssl_usage": "it answers over plain HTTP too",
    "user_permission.create_webhook": "it has no webhooks",
    "user_permission.manage_webhook": "it has no webhooks",
    "security": "it scans no images",
    "background.sync": "it compares no catalogue with the registry",
    "pagination.before_after": "lists have links to the next and the previous page alone",
}


def not_yet(key: str) -> str | None:
    """Return what is missing for the option, None when it counts."""
    return next((missing for part, missing in NOT_YET.items() if key == part or key.startswith(f"{part}.")), None)


def notices(keys: Iterable[str]) -> list[str]:
    """Return a sentence for each part that somebody has set in vain."""
    parts = {part for key in keys for part in NOT_YET if key == part or key.startswith(f"{part}.")}
    return [f"{part} has no effect in this version: {NOT_YET[part]}." for part in sorted(parts)]
