"""What `portus config` shows: every value and its source, and never a secret."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portus import config
from portus.config.describe import MASK
from portus.config.sources import LEAVES, VARIABLES, is_secret

SECRETS = [variable for variable, key in VARIABLES.items() if is_secret(key)] + [
    "PORTUS_SECRET_KEY_BASE",
    "PORTUS_DB_PASSWORD",
    "PORTUS_PASSWORD",
]


def described(**environ):
    return {row.key: row for row in config.describe(config.load({"PORTUS_DATA": "/nowhere", **environ}))}


def test_it_shows_every_option():
    assert described().keys() > LEAVES.keys()


@pytest.mark.parametrize(
    ("key", "environ", "value", "origin"),
    [
        ("signup.enabled", {}, "true", "default"),
        ("signup.enabled", {"PORTUS_SIGNUP_ENABLED": "no"}, "false", "PORTUS_SIGNUP_ENABLED"),
        ("user_permission.push_images.policy", {}, "allow-teams", "default"),
        ("proxies.trusted", {"PORTUS_PROXIES_TRUSTED": "10.0.0.1, fd00::/8"}, "10.0.0.1/32, fd00::/8",
         "PORTUS_PROXIES_TRUSTED"),
        ("public_url", {}, "https://portus.test.lan", "machine_fqdn.value"),
        ("pagination.limit", {}, "", "default"),
        ("pagination.per_page", {"PORTUS_PAGINATION_LIMIT": "7"}, "7", "pagination.limit"),
        ("web.port", {"PORTUS_PUMA_HOST": "0.0.0.0:1"}, "1", "PORTUS_PUMA_HOST"),
        ("runtime.data", {}, "/nowhere", "PORTUS_DATA"),
        ("runtime.log_level", {"PORTUS_LOG_LEVEL": "warn"}, "warning", "PORTUS_LOG_LEVEL"),
        ("runtime.database.name", {}, "/nowhere/portus.sqlite3", "default"),
        ("runtime.database.host", {"DATABASE_URL": "mysql2://db/x"}, "db", "DATABASE_URL"),
        ("runtime.secret_key_base", {}, "", "default"),
        ("runtime.secret_key_base", {"PORTUS_SECRET_KEY_BASE": "hush" * 8}, MASK, "PORTUS_SECRET_KEY_BASE"),
        ("email.smtp.password", {"PORTUS_EMAIL_SMTP_PASSWORD": "hush"}, MASK, "PORTUS_EMAIL_SMTP_PASSWORD"),
        ("runtime.database.password", {"DATABASE_URL": "mysql2://me:hush@db/x"}, MASK, "DATABASE_URL"),
    ],
)  # fmt: skip
def test_a_row(key, environ, value, origin):
    row = described(**environ)[key]

    assert (row.value, row.origin) == (value, origin)


@given(
    variable=st.sampled_from(SECRETS),
    secret=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=4).map(
        lambda text: f"hush{text}" * 8
    ),
)
def test_it_never_shows_a_secret(variable, secret):
    loaded = config.load({"PORTUS_DATA": "/nowhere", variable: secret})

    assert "hush" not in str(config.describe(loaded))
    assert "hush" not in repr(loaded)
    assert "hush" not in str(loaded.notices)


@pytest.mark.parametrize("variable", SECRETS)
def test_a_secret_is_in_no_message_about_another_mistake(variable):
    with pytest.raises(config.ConfigurationError) as error:
        config.load({"PORTUS_DATA": "/nowhere", variable: "hush" * 8, "TZ": "Mars", "PORTUS_LDAP_PORT": "x"})

    assert len(error.value.problems) == 2
    assert "hush" not in str(error.value)
