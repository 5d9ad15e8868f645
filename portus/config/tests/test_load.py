"""What a wrong configuration says, and how the spellings of Portus 2.4 are read."""

import pytest

from portus import config


def load(tmp_path, **environ):
    return config.load({"PORTUS_DATA": str(tmp_path), **environ})


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("PORTUS_DELETE_ENABLD", "1", "did you mean PORTUS_DELETE_ENABLED?"),
        ("PORTUS_DELETE_ENABLED", "maybe", "is neither true nor false"),
        ("PORTUS_USER_PERMISSION_PUSH_IMAGES_POLICY", "all", "must be 'allow-teams'"),
        ("PORTUS_LOG_LEVEL", "loud", "PORTUS_LOG_LEVEL must be one of"),
        ("TZ", "Mars/Base", "there is no time zone"),
        ("PORTUS_DELETE_GARBAGE_COLLECTOR_TAG", "(", "is not a regular expression"),
        ("PORTUS_KEY_PATH", "/nowhere/portus.key", "cannot be read"),
        ("PORTUS_PRODUCTION_HOST", "db", "is called PORTUS_DB_HOST now"),
        ("PORTUS_DB_ADAPTER", "oracle", "is none of"),
        ("PORTUS_EMAIL_SMTP_PASSWORD_FILE", "/nowhere/secret", "cannot be read"),
    ],
)
def test_a_mistake_is_one_sentence_that_names_its_source(tmp_path, variable, value, sentence):
    with pytest.raises(config.ConfigurationError) as error:
        load(tmp_path, **{variable: value})

    assert len(error.value.problems) == 1
    assert sentence in error.value.problems[0]


def test_all_mistakes_are_told_at_once(tmp_path):
    with pytest.raises(config.ConfigurationError) as error:
        load(tmp_path, PORTUS_DELETE_ENABLED="maybe", TZ="Mars/Base", PORTUS_NONSENSE="1")

    assert len(error.value.problems) == 3


@pytest.mark.parametrize("word", ["true", "TRUE", "'true'", '"on"', "yes", "1", "t"])
def test_booleans_as_people_write_them(tmp_path, word):
    assert load(tmp_path, PORTUS_LDAP_ENABLED=word).options.ldap.enabled is True


def test_the_spellings_of_2_4(tmp_path):
    options = load(
        tmp_path,
        PORTUS_EMAIL_SMTP_PORT="587,",
        PORTUS_EMAIL_SMTP_PASSWORD="0123",
        PORTUS_REGISTRY_JWT_EXPIRATION_TIME_VALUE="5.minutes",
        PORTUS_PUMA_HOST="0.0.0.0:3001",
    ).options

    assert options.email.smtp.port == 587
    assert options.email.smtp.password.get_secret_value() == "0123"
    assert options.registry.jwt_expiration_time.value == 5
    assert (options.web.bind, options.web.port) == ("0.0.0.0", 3001)


def test_kubernetes_noise_is_ignored(tmp_path):
    noise = {"PORTUS_SERVICE_HOST": "10.0.0.1", "PORTUS_PORT": "tcp://10.0.0.1:80", "PORTUS_PORT_80_TCP": "tcp://x"}

    assert load(tmp_path, **noise).options.web.port == 3000


def test_the_environment_beats_the_file_and_the_file_the_default(tmp_path):
    (tmp_path / "config-local.yml").write_text("signup: false\nldap:\n  port: 636\n  base: dc=a\n")

    loaded = load(tmp_path, PORTUS_LDAP_BASE="dc=b")

    assert loaded.options.signup.enabled is False
    assert loaded.options.ldap.port == 636
    assert loaded.options.ldap.base == "dc=b"
    assert loaded.origins["ldap.port"] == "config-local.yml"


def test_sqlite_when_no_database_is_named(tmp_path):
    assert load(tmp_path).options.runtime.database.name == str(tmp_path / "portus.sqlite3")
    assert load(tmp_path, PORTUS_DB_HOST="db").options.runtime.database.engine == "mariadb"


def test_secrets_are_masked(tmp_path):
    (tmp_path / "secret").write_text("hush\n")
    loaded = load(tmp_path, PORTUS_LDAP_AUTHENTICATION_PASSWORD_FILE=str(tmp_path / "secret"))

    assert loaded.options.ldap.authentication.password.get_secret_value() == "hush"
    assert "hush" not in str(config.describe(loaded))
