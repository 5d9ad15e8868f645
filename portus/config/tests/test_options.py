"""Every option of Portus 2.4 is here, under its name, its variable and its default; and those that came later."""

import pytest
from pydantic import SecretStr

from portus import config
from portus.config.sources import LEAVES, VARIABLES, value_of

OF_2_4 = [
    ("email.from", "PORTUS_EMAIL_FROM", "portus@example.com"),
    ("email.name", "PORTUS_EMAIL_NAME", "Portus"),
    ("email.reply_to", "PORTUS_EMAIL_REPLY_TO", ""),
    ("email.smtp.enabled", "PORTUS_EMAIL_SMTP_ENABLED", False),
    ("email.smtp.address", "PORTUS_EMAIL_SMTP_ADDRESS", "smtp.example.com"),
    ("email.smtp.port", "PORTUS_EMAIL_SMTP_PORT", 587),
    ("email.smtp.domain", "PORTUS_EMAIL_SMTP_DOMAIN", "example.com"),
    ("email.smtp.ssl_tls", "PORTUS_EMAIL_SMTP_SSL_TLS", ""),
    ("email.smtp.enable_starttls_auto", "PORTUS_EMAIL_SMTP_ENABLE_STARTTLS_AUTO", False),
    ("email.smtp.openssl_verify_mode", "PORTUS_EMAIL_SMTP_OPENSSL_VERIFY_MODE", "none"),
    ("email.smtp.ca_path", "PORTUS_EMAIL_SMTP_CA_PATH", ""),
    ("email.smtp.ca_file", "PORTUS_EMAIL_SMTP_CA_FILE", ""),
    ("email.smtp.user_name", "PORTUS_EMAIL_SMTP_USER_NAME", ""),
    ("email.smtp.password", "PORTUS_EMAIL_SMTP_PASSWORD", ""),
    ("email.smtp.authentication", "PORTUS_EMAIL_SMTP_AUTHENTICATION", "login"),
    ("gravatar.enabled", "PORTUS_GRAVATAR_ENABLED", True),
    ("delete.enabled", "PORTUS_DELETE_ENABLED", True),
    ("delete.contributors", "PORTUS_DELETE_CONTRIBUTORS", False),
    ("delete.garbage_collector.enabled", "PORTUS_DELETE_GARBAGE_COLLECTOR_ENABLED", False),
    ("delete.garbage_collector.older_than", "PORTUS_DELETE_GARBAGE_COLLECTOR_OLDER_THAN", 30),
    ("delete.garbage_collector.tag", "PORTUS_DELETE_GARBAGE_COLLECTOR_TAG", ""),
    ("ldap.enabled", "PORTUS_LDAP_ENABLED", False),
    ("ldap.hostname", "PORTUS_LDAP_HOSTNAME", "ldap_hostname"),
    ("ldap.port", "PORTUS_LDAP_PORT", 389),
    ("ldap.timeout", "PORTUS_LDAP_TIMEOUT", 5),
    ("ldap.encryption.method", "PORTUS_LDAP_ENCRYPTION_METHOD", ""),
    ("ldap.encryption.options.ca_file", "PORTUS_LDAP_ENCRYPTION_OPTIONS_CA_FILE", ""),
    ("ldap.encryption.options.ssl_version", "PORTUS_LDAP_ENCRYPTION_OPTIONS_SSL_VERSION", "TLSv1_2"),
    ("ldap.base", "PORTUS_LDAP_BASE", ""),
    ("ldap.filter", "PORTUS_LDAP_FILTER", ""),
    ("ldap.uid", "PORTUS_LDAP_UID", "uid"),
    ("ldap.authentication.enabled", "PORTUS_LDAP_AUTHENTICATION_ENABLED", False),
    ("ldap.authentication.bind_dn", "PORTUS_LDAP_AUTHENTICATION_BIND_DN", ""),
    ("ldap.authentication.password", "PORTUS_LDAP_AUTHENTICATION_PASSWORD", ""),
    ("ldap.guess_email.enabled", "PORTUS_LDAP_GUESS_EMAIL_ENABLED", False),
    ("ldap.guess_email.attr", "PORTUS_LDAP_GUESS_EMAIL_ATTR", ""),
    ("oauth.local_login.enabled", "PORTUS_OAUTH_LOCAL_LOGIN_ENABLED", True),
    ("oauth.google_oauth2.enabled", "PORTUS_OAUTH_GOOGLE_OAUTH2_ENABLED", False),
    ("oauth.google_oauth2.id", "PORTUS_OAUTH_GOOGLE_OAUTH2_ID", ""),
    ("oauth.google_oauth2.secret", "PORTUS_OAUTH_GOOGLE_OAUTH2_SECRET", ""),
    ("oauth.google_oauth2.domain", "PORTUS_OAUTH_GOOGLE_OAUTH2_DOMAIN", ""),
    ("oauth.google_oauth2.options.hd", "PORTUS_OAUTH_GOOGLE_OAUTH2_OPTIONS_HD", ""),
    ("oauth.open_id.enabled", "PORTUS_OAUTH_OPEN_ID_ENABLED", False),
    ("oauth.open_id.identifier", "PORTUS_OAUTH_OPEN_ID_IDENTIFIER", ""),
    ("oauth.open_id.domain", "PORTUS_OAUTH_OPEN_ID_DOMAIN", ""),
    ("oauth.github.enabled", "PORTUS_OAUTH_GITHUB_ENABLED", False),
    ("oauth.github.client_id", "PORTUS_OAUTH_GITHUB_CLIENT_ID", ""),
    ("oauth.github.client_secret", "PORTUS_OAUTH_GITHUB_CLIENT_SECRET", ""),
    ("oauth.github.organization", "PORTUS_OAUTH_GITHUB_ORGANIZATION", ""),
    ("oauth.github.team", "PORTUS_OAUTH_GITHUB_TEAM", ""),
    ("oauth.github.domain", "PORTUS_OAUTH_GITHUB_DOMAIN", ""),
    ("oauth.gitlab.enabled", "PORTUS_OAUTH_GITLAB_ENABLED", False),
    ("oauth.gitlab.application_id", "PORTUS_OAUTH_GITLAB_APPLICATION_ID", ""),
    ("oauth.gitlab.secret", "PORTUS_OAUTH_GITLAB_SECRET", ""),
    ("oauth.gitlab.group", "PORTUS_OAUTH_GITLAB_GROUP", ""),
    ("oauth.gitlab.domain", "PORTUS_OAUTH_GITLAB_DOMAIN", ""),
    ("oauth.gitlab.server", "PORTUS_OAUTH_GITLAB_SERVER", ""),
    ("oauth.bitbucket.enabled", "PORTUS_OAUTH_BITBUCKET_ENABLED", False),
    ("oauth.bitbucket.key", "PORTUS_OAUTH_BITBUCKET_KEY", ""),
    ("oauth.bitbucket.secret", "PORTUS_OAUTH_BITBUCKET_SECRET", ""),
    ("oauth.bitbucket.domain", "PORTUS_OAUTH_BITBUCKET_DOMAIN", ""),
    ("oauth.bitbucket.options.team", "PORTUS_OAUTH_BITBUCKET_OPTIONS_TEAM", ""),
    ("first_user_admin.enabled", "PORTUS_FIRST_USER_ADMIN_ENABLED", True),
    ("signup.enabled", "PORTUS_SIGNUP_ENABLED", True),
    ("check_ssl_usage.enabled", "PORTUS_CHECK_SSL_USAGE_ENABLED", True),
    ("machine_fqdn.value", "PORTUS_MACHINE_FQDN_VALUE", "portus.test.lan"),
    ("display_name.enabled", "PORTUS_DISPLAY_NAME_ENABLED", False),
    ("anonymous_browsing.enabled", "PORTUS_ANONYMOUS_BROWSING_ENABLED", True),
    ("registry.jwt_expiration_time.value", "PORTUS_REGISTRY_JWT_EXPIRATION_TIME_VALUE", 15),
    ("registry.catalog_page.value", "PORTUS_REGISTRY_CATALOG_PAGE_VALUE", 100),
    ("registry.timeout.value", "PORTUS_REGISTRY_TIMEOUT_VALUE", 2),
    ("registry.read_timeout.value", "PORTUS_REGISTRY_READ_TIMEOUT_VALUE", 120),
    ("user_permission.change_visibility.enabled", "PORTUS_USER_PERMISSION_CHANGE_VISIBILITY_ENABLED", True),
    ("user_permission.create_team.enabled", "PORTUS_USER_PERMISSION_CREATE_TEAM_ENABLED", True),
    ("user_permission.manage_team.enabled", "PORTUS_USER_PERMISSION_MANAGE_TEAM_ENABLED", True),
    ("user_permission.create_namespace.enabled", "PORTUS_USER_PERMISSION_CREATE_NAMESPACE_ENABLED", True),
    ("user_permission.manage_namespace.enabled", "PORTUS_USER_PERMISSION_MANAGE_NAMESPACE_ENABLED", True),
    ("user_permission.create_webhook.enabled", "PORTUS_USER_PERMISSION_CREATE_WEBHOOK_ENABLED", True),
    ("user_permission.manage_webhook.enabled", "PORTUS_USER_PERMISSION_MANAGE_WEBHOOK_ENABLED", True),
    ("user_permission.push_images.policy", "PORTUS_USER_PERMISSION_PUSH_IMAGES_POLICY", "allow-teams"),
    ("security.clair.server", "PORTUS_SECURITY_CLAIR_SERVER", ""),
    ("security.clair.health_port", "PORTUS_SECURITY_CLAIR_HEALTH_PORT", 6061),
    ("security.clair.timeout", "PORTUS_SECURITY_CLAIR_TIMEOUT", 900),
    ("security.zypper.server", "PORTUS_SECURITY_ZYPPER_SERVER", ""),
    ("security.dummy.server", "PORTUS_SECURITY_DUMMY_SERVER", ""),
    ("background.registry.enabled", "PORTUS_BACKGROUND_REGISTRY_ENABLED", True),
    ("background.sync.enabled", "PORTUS_BACKGROUND_SYNC_ENABLED", True),
    ("background.sync.strategy", "PORTUS_BACKGROUND_SYNC_STRATEGY", "initial"),
    ("pagination.limit", "PORTUS_PAGINATION_LIMIT", None),
    ("pagination.per_page", "PORTUS_PAGINATION_PER_PAGE", 10),
    ("pagination.before_after", "PORTUS_PAGINATION_BEFORE_AFTER", 2),
]
# Of its successor that was never released.
OF_2_5 = [
    ("delete.garbage_collector.keep_latest", "PORTUS_DELETE_GARBAGE_COLLECTOR_KEEP_LATEST", 5),
    ("ldap.admin_base", "PORTUS_LDAP_ADMIN_BASE", ""),
    ("ldap.group_base", "PORTUS_LDAP_GROUP_BASE", ""),
    ("ldap.group_sync.enabled", "PORTUS_LDAP_GROUP_SYNC_ENABLED", True),
    ("ldap.group_sync.default_role", "PORTUS_LDAP_GROUP_SYNC_DEFAULT_ROLE", "viewer"),
    ("oauth.openid_connect.enabled", "PORTUS_OAUTH_OPENID_CONNECT_ENABLED", False),
    ("oauth.openid_connect.issuer", "PORTUS_OAUTH_OPENID_CONNECT_ISSUER", ""),
    ("oauth.openid_connect.identifier", "PORTUS_OAUTH_OPENID_CONNECT_IDENTIFIER", ""),
    ("oauth.openid_connect.secret", "PORTUS_OAUTH_OPENID_CONNECT_SECRET", ""),
]
OURS = [
    ("public_url", "PORTUS_PUBLIC_URL", "https://portus.test.lan"),
    ("web.workers", "PORTUS_WEB_WORKERS", 2),
    ("web.threads", "PORTUS_WEB_THREADS", 4),
    ("web.bind", "PORTUS_WEB_BIND", "127.0.0.1"),
    ("web.port", "PORTUS_WEB_PORT", 3000),
    ("web.tls_key", "PORTUS_WEB_TLS_KEY", ""),
    ("web.tls_certificate", "PORTUS_WEB_TLS_CERTIFICATE", ""),
]
OTHER_VALUES = {
    "user_permission.push_images.policy": "admin-only",
    "background.sync.strategy": "update-delete",
    "ldap.encryption.method": "start_tls",
    "ldap.group_sync.default_role": "owner",
    "email.smtp.ssl_tls": "ssl",
    "email.smtp.openssl_verify_mode": "peer",
    "email.smtp.authentication": "plain",
    "email.from": "portus@registry.example",
    "email.reply_to": "nobody@registry.example",
    "delete.garbage_collector.tag": r"^build-\d+$",
    "machine_fqdn.value": "registry.example",
    "oauth.gitlab.server": "https://gitlab.example",
    "oauth.openid_connect.issuer": "https://login.example/realm",
    "security.clair.server": "http://clair:6060",
    "security.zypper.server": "http://zypper:7070",
    "public_url": "https://registry.example",
}
FILES = {"web.tls_key", "web.tls_certificate"}


def value(options, key):
    found = value_of(options, key)
    return found.get_secret_value() if isinstance(found, SecretStr) else found


def another(key, default):
    """A value that is not the default, as Python has it."""
    if key in OTHER_VALUES:
        return OTHER_VALUES[key]
    if isinstance(default, bool):
        return not default
    return 7 if isinstance(default, int) or default is None else "0123"


@pytest.mark.parametrize(("key", "variable", "default"), OF_2_4 + OF_2_5 + OURS)
def test_default_variable_and_type(tmp_path, key, variable, default):
    environ = {"PORTUS_DATA": str(tmp_path)}
    assert value(config.load(environ).options, key) == default
    if key in FILES:
        return

    wanted = another(key, default)
    loaded = config.load(environ | {variable: str(wanted)})

    assert value(loaded.options, key) == wanted
    assert type(wanted) is not type(default) or wanted != default
    assert loaded.origins[key] == variable


@pytest.mark.parametrize(("key", "variable", "default"), OF_2_4 + OF_2_5)
def test_the_file_says_the_same_in_yaml(tmp_path, key, variable, default):
    wanted = another(key, default)
    *sections, leaf = key.split(".")
    lines = [f"{'  ' * depth}{name}:\n" for depth, name in enumerate(sections)]
    text = str(wanted).lower() if isinstance(wanted, bool) else str(wanted)
    (tmp_path / "config-local.yml").write_text("".join(lines) + f"{'  ' * len(sections)}{leaf}: {text}\n")

    loaded = config.load({"PORTUS_DATA": str(tmp_path)})

    assert value(loaded.options, key) == wanted
    assert loaded.origins[key] == "config-local.yml"


def test_nothing_is_missing_and_nothing_is_unknown():
    listed = {key for key, _, _ in OF_2_4 + OF_2_5 + OURS} | {"proxies.trusted", "cors.origins"}

    assert len(OF_2_4) == 91
    assert set(LEAVES) == listed
    assert {variable: key for key, variable, _ in OF_2_4 + OF_2_5 + OURS}.items() <= VARIABLES.items()


@pytest.mark.parametrize("key", LEAVES)
def test_every_option_says_what_it_is_for(key):
    meaning = LEAVES[key].meaning

    assert meaning.endswith(".")
    if "timeout" in key:
        assert meaning.startswith("Seconds")
