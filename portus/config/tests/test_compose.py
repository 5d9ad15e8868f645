"""The environments of Portus 2.4's own examples start us unchanged."""

import pytest

from portus import config

SECRETS = {
    "PORTUS_DB_PASSWORD": "portus",
    "PORTUS_PASSWORD": "12341234",
    "PORTUS_SECRET_KEY_BASE": "b494a25faa8d22e430e843e220e424e10ac84d2ce0e64231f5b636d21251eb6d",
}
COMMON = {
    "PORTUS_MACHINE_FQDN_VALUE": "registry.example",
    "PORTUS_DB_HOST": "db",
    "PORTUS_DB_DATABASE": "portus_production",
    "PORTUS_DB_POOL": "5",
    **SECRETS,
}
BACKGROUND = {"CCONFIG_PREFIX": "PORTUS", "PORTUS_BACKGROUND": "true"}
TLS = {"PORTUS_PUMA_TLS_KEY": "{key}", "PORTUS_PUMA_TLS_CERT": "{key}", "RAILS_SERVE_STATIC_FILES": "'true'"}
# The quotes are part of the value: that is what a compose file in list form passes on.
INSECURE = {"PORTUS_CHECK_SSL_USAGE_ENABLED": "'false'", "RAILS_SERVE_STATIC_FILES": "'true'"}
CLAIR = {"PORTUS_SECURITY_CLAIR_SERVER": "http://clair:6060"}
LDAP = {
    "PORTUS_LDAP_ENABLED": "true",
    "PORTUS_LDAP_HOSTNAME": "ldap",
    "PORTUS_LDAP_BASE": "dc=example,dc=org",
    "PORTUS_LDAP_FILTER": "",
    "PORTUS_LDAP_UID": "uid",
    "PORTUS_LDAP_ENCRYPTION_METHOD": "start_tls",
    "PORTUS_LDAP_ENCRYPTION_OPTIONS_CA_FILE": "/certificates/ldap.crt",
    "PORTUS_LDAP_AUTHENTICATION_ENABLED": "true",
    "PORTUS_LDAP_AUTHENTICATION_BIND_DN": "cn=admin,dc=example,dc=org",
    "PORTUS_LDAP_AUTHENTICATION_PASSWORD": "admin",
}
POSTGRESQL = {"CCONFIG_PREFIX": "PORTUS", "PORTUS_DB_ADAPTER": "postgresql", "PORTUS_DB_USERNAME": "postgres"}
# What the image's entry point added: its own address, and every secret, as empty when it was not set.
IMAGE = {
    "PORTUS_PUMA_HOST": "0.0.0.0:3000",
    "RACK_ENV": "production",
    "RAILS_ENV": "production",
    "CCONFIG_PREFIX": "PORTUS",
    "PORTUS_EMAIL_SMTP_PASSWORD": "",
    "PORTUS_LDAP_AUTHENTICATION_PASSWORD": "",
}


@pytest.fixture
def load(tmp_path):
    key = tmp_path / "portus.key"
    key.write_text("a key")

    def load(*environs):
        environ = {"PORTUS_DATA": str(tmp_path), "PORTUS_KEY_PATH": "{key}"}
        for more in environs:
            environ |= more
        return config.load({name: value.replace("{key}", str(key)) for name, value in environ.items()})

    return load


@pytest.mark.parametrize(
    "environs",
    [
        [COMMON, TLS],
        [COMMON, BACKGROUND],
        [COMMON, INSECURE],
        [COMMON, INSECURE, CLAIR],
        [COMMON, TLS, CLAIR],
        [COMMON, BACKGROUND, CLAIR],
        [COMMON, INSECURE, LDAP],
        [COMMON, POSTGRESQL],
        [IMAGE, COMMON, TLS, CLAIR, LDAP],
    ],
    ids=["secure", "background", "insecure", "clair", "clair-ssl", "clair-background", "ldap", "postgresql", "image"],
)
def test_it_starts_us_unchanged(load, environs):
    options = load(*environs).options

    assert options.machine_fqdn.value == "registry.example"
    assert options.runtime.database.host == "db"
    assert options.runtime.database.password == "portus"


def test_what_they_say_is_what_counts(load):
    options = load(IMAGE, COMMON, INSECURE, CLAIR, LDAP).options

    assert options.check_ssl_usage.enabled is False
    assert options.security.clair.server == "http://clair:6060"
    assert (options.ldap.enabled, options.ldap.encryption.method) == (True, "start_tls")
    assert (options.web.bind, options.web.port) == ("0.0.0.0", 3000)
    assert (options.runtime.database.engine, options.runtime.database.user) == ("mariadb", "root")
    assert load(COMMON, POSTGRESQL).options.runtime.database.engine == "postgresql"


def test_secrets_that_the_image_exported_as_empty_leave_the_file_alone(tmp_path, load):
    (tmp_path / "config-local.yml").write_text("email:\n  smtp:\n    password: from the file\n")

    options = load(IMAGE, COMMON).options

    assert options.email.smtp.password.get_secret_value() == "from the file"
