"""Where values come from, how the spellings of Portus 2.4 are read, and what is a mistake."""

import pytest

from portus import config

LDAP_FILE = """
ldap:
  enabled: true
  port: 636,
  base: "dc=a"
  authentication:
    password: 0123
signup: false
pagination:
  limit: ~
"""


@pytest.fixture
def load(tmp_path):
    return lambda **environ: config.load({"PORTUS_DATA": str(tmp_path), **environ})


@pytest.fixture
def problems(load):
    def problems(**environ):
        with pytest.raises(config.ConfigurationError) as error:
            load(**environ)
        return error.value.problems

    return problems


def write(tmp_path, text):
    (tmp_path / "config-local.yml").write_text(text)


# Mistakes

NEITHER = "is neither true nor false"
POLICIES = "'allow-teams', 'allow-personal' or 'admin-only'"
NO_FILE = "No such file or directory"


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"PORTUS_DELETE_ENABLD": "1"},
         "PORTUS_DELETE_ENABLD is not a variable of Portus; did you mean PORTUS_DELETE_ENABLED?"),
        ({"PORTUS_ZZZ": "1"}, "PORTUS_ZZZ is not a variable of Portus."),
        ({"PORTUS_LDAP_BASE_FILE": "/x"},
         "PORTUS_LDAP_BASE_FILE is not a variable of Portus; did you mean PORTUS_LDAP_BASE?"),
        ({"PORTUS_DELETE_ENABLED": "maybe"}, f"delete.enabled (from PORTUS_DELETE_ENABLED) {NEITHER}: 'maybe'."),
        ({"PORTUS_LDAP_PORT": "ldap"}, "ldap.port (from PORTUS_LDAP_PORT) is not a whole number: 'ldap'."),
        ({"PORTUS_LDAP_PORT": "65536"}, "ldap.port (from PORTUS_LDAP_PORT) must be at most 65535, not '65536'."),
        ({"PORTUS_REGISTRY_TIMEOUT_VALUE": "0"},
         "registry.timeout.value (from PORTUS_REGISTRY_TIMEOUT_VALUE) must be at least 1, not '0'."),
        ({"PORTUS_REGISTRY_JWT_EXPIRATION_TIME_VALUE": "5.parsecs"},
         "registry.jwt_expiration_time.value (from PORTUS_REGISTRY_JWT_EXPIRATION_TIME_VALUE) is not a whole number: "
         "'5.parsecs'."),
        ({"PORTUS_DELETE_GARBAGE_COLLECTOR_OLDER_THAN": "0"},
         "delete.garbage_collector.older_than (from PORTUS_DELETE_GARBAGE_COLLECTOR_OLDER_THAN) must be at least 1, "
         "not '0'."),
        ({"PORTUS_USER_PERMISSION_PUSH_IMAGES_POLICY": "allow-all"},
         "user_permission.push_images.policy (from PORTUS_USER_PERMISSION_PUSH_IMAGES_POLICY) "
         f"must be {POLICIES}, not 'allow-all'."),
        ({"PORTUS_LDAP_ENCRYPTION_METHOD": "ssl"},
         "ldap.encryption.method (from PORTUS_LDAP_ENCRYPTION_METHOD) "
         "must be '', 'plain', 'simple_tls', 'start_tls' or 'starttls', not 'ssl'."),
        ({"PORTUS_EMAIL_FROM": ""}, "email.from (from PORTUS_EMAIL_FROM) is empty."),
        ({"PORTUS_EMAIL_FROM": "me"}, "email.from (from PORTUS_EMAIL_FROM) is not an e-mail address: 'me'."),
        ({"PORTUS_EMAIL_REPLY_TO": "me"},
         "email.reply_to (from PORTUS_EMAIL_REPLY_TO) is not an e-mail address: 'me'."),
        ({"PORTUS_MACHINE_FQDN_VALUE": ""}, "machine_fqdn.value (from PORTUS_MACHINE_FQDN_VALUE) is empty."),
        ({"PORTUS_MACHINE_FQDN_VALUE": "https://a.example"},
         "machine_fqdn.value (from PORTUS_MACHINE_FQDN_VALUE) is not a host name (without https:// and path): "
         "'https://a.example'."),
        ({"PORTUS_PUBLIC_URL": "a.example"},
         "public_url (from PORTUS_PUBLIC_URL) is not an http(s) address of host, port and path alone: 'a.example'."),
        ({"PORTUS_PUBLIC_URL": "https://a.example:port"},
         "public_url (from PORTUS_PUBLIC_URL) is not an http(s) address of host, port and path alone: "
         "'https://a.example:port'."),
        ({"PORTUS_PUBLIC_URL": "https://a.example/x", "RAILS_RELATIVE_URL_ROOT": "/portus"},
         "public_url (from PORTUS_PUBLIC_URL) must end in /portus, as RAILS_RELATIVE_URL_ROOT says."),
        ({"PORTUS_DELETE_GARBAGE_COLLECTOR_TAG": "("},
         "delete.garbage_collector.tag (from PORTUS_DELETE_GARBAGE_COLLECTOR_TAG) is not a regular expression "
         "(missing ), unterminated subpattern at position 0): '('."),
        ({"PORTUS_PROXIES_TRUSTED": "10.0.0.0/99"},
         "proxies.trusted (from PORTUS_PROXIES_TRUSTED) is not a list of networks "
         "('10.0.0.0/99' does not appear to be an IPv4 or IPv6 network): '10.0.0.0/99'."),
        ({"PORTUS_LOG_LEVEL": "loud"},
         "PORTUS_LOG_LEVEL must be one of debug, info, warn, warning, error, fatal, critical, unknown, not 'loud'."),
        ({"TZ": "Mars/Base"}, "TZ: there is no time zone 'Mars/Base'."),
        ({"TZ": "../../etc/passwd"}, "TZ: there is no time zone '../../etc/passwd'."),
        ({"REGISTRY_PORT": "many"}, "REGISTRY_PORT is not a whole number: 'many'."),
        ({"PORTUS_PORT": "0"}, "web.port (from PORTUS_PORT) must be at least 1, not '0'."),
        ({"PORTUS_PUMA_HOST": "0.0.0.0:http"}, "web.port (from PORTUS_PUMA_HOST) is not a whole number: 'http'."),
        ({"PORTUS_KEY_PATH": "/nowhere/portus.key"},
         f"PORTUS_KEY_PATH: /nowhere/portus.key cannot be read ({NO_FILE})."),
        ({"PORTUS_KEY_CERTIFICATE_PATH": "/dev/null"},
         "PORTUS_KEY_CERTIFICATE_PATH is the certificate of PORTUS_KEY_PATH, which is missing."),
        ({"PORTUS_WEB_TLS_KEY": "/dev/null"},
         "web.tls_key and web.tls_certificate go together: one of them is missing."),
        ({"PORTUS_WEB_TLS_KEY": "/dev/null", "PORTUS_PUMA_TLS_CERT": "/nowhere/portus.crt"},
         f"web.tls_certificate (from PORTUS_PUMA_TLS_CERT): /nowhere/portus.crt cannot be read ({NO_FILE})."),
        ({"PORTUS_PRODUCTION_HOST": "db"}, "PORTUS_PRODUCTION_HOST is called PORTUS_DB_HOST now."),
        ({"PORTUS_MACHINE_FQDN": "a.example"}, "PORTUS_MACHINE_FQDN is called PORTUS_MACHINE_FQDN_VALUE now."),
        ({"PORTUS_EMAIL_SMTP_PASSWORD_FILE": "/nowhere/secret"},
         f"PORTUS_EMAIL_SMTP_PASSWORD_FILE: /nowhere/secret cannot be read ({NO_FILE})."),
        ({"PORTUS_LOCAL_CONFIG_PATH": "/nowhere/config.yml"},
         "PORTUS_LOCAL_CONFIG_PATH: there is no file /nowhere/config.yml."),
        ({"PORTUS_INIT_REGISTRY_HOSTNAME": "registry:5000"},
         "PORTUS_INIT_REGISTRY_HOSTNAME and PORTUS_INIT_REGISTRY_USE_SSL go together."),
        ({"PORTUS_INIT_REGISTRY_USE_SSL": "false"},
         "PORTUS_INIT_REGISTRY_HOSTNAME and PORTUS_INIT_REGISTRY_USE_SSL go together."),
        ({"PORTUS_INIT_REGISTRY_HOSTNAME": "registry:5000", "PORTUS_INIT_REGISTRY_USE_SSL": "perhaps"},
         f"PORTUS_INIT_REGISTRY_USE_SSL {NEITHER}: 'perhaps'."),
    ],
)  # fmt: skip
def test_a_mistake_in_the_environment_is_one_sentence_that_names_it(problems, environ, sentence):
    assert problems(**environ) == [sentence]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("ldap:\n  bsae: dc=a\n", "config-local.yml: ldap.bsae is not an option of Portus; did you mean ldap.base?"),
        ("gravtar:\n  enabled: true\n",
         "config-local.yml: gravtar is not an option of Portus; did you mean gravatar?"),
        ("runtime:\n  data: /\n", "config-local.yml: runtime is not an option of Portus."),
        ("ldap:\n  method: start_tls\n", "config-local.yml: ldap.method is called ldap.encryption.method now."),
        ("ldap: dc=a\n", "config-local.yml: ldap is a section; give the options below it."),
        ("ldap:\n  base: [a]\n", "ldap.base (from config-local.yml) must be a text, not a list."),
        ("ldap:\n  port:\n    - 1\n", "ldap.port (from config-local.yml) is not a whole number: a list."),
        ("delete:\n  enabled: maybe\n", f"delete.enabled (from config-local.yml) {NEITHER}: 'maybe'."),
        ("user_permission:\n  push_images:\n    policy: all\n",
         f"user_permission.push_images.policy (from config-local.yml) must be {POLICIES}, not 'all'."),
        ("email:\n  smtp:\n    password: [hush]\n", "email.smtp.password (from config-local.yml) must be a text."),
        ("- ldap\n", "{path} has the wrong format: it must be a mapping of sections."),
        ("ldap\n", "{path} has the wrong format: it must be a mapping of sections."),
        ("ldap: [\n", "{path} is not YAML, line 2: expected the node content, but found '<stream end>'."),
        ("signup: true\nldap:\n  uid: a\n  uid: b\n", "{path} is not YAML, line 4: uid stands there twice."),
    ],
)  # fmt: skip
def test_a_mistake_in_the_file_is_one_sentence_that_names_it(tmp_path, problems, text, sentence):
    write(tmp_path, text)

    assert problems() == [sentence.replace("{path}", str(tmp_path / "config-local.yml"))]


def test_a_file_that_is_not_text_is_one_sentence(tmp_path, problems):
    (tmp_path / "config-local.yml").write_bytes(b"\xff\xfe")

    assert problems() == [f"{tmp_path}/config-local.yml cannot be read (invalid start byte)."]


def test_all_mistakes_are_told_at_once(tmp_path, problems):
    write(tmp_path, "sginup: true\npagination:\n  per_page: none\n")

    assert problems(PORTUS_DELETE_ENABLED="maybe", TZ="Mars/Base", PORTUS_NONSENSE="1") == [
        "PORTUS_NONSENSE is not a variable of Portus.",
        "TZ: there is no time zone 'Mars/Base'.",
        "config-local.yml: sginup is not an option of Portus; did you mean signup?",
        "delete.enabled (from PORTUS_DELETE_ENABLED) is neither true nor false: 'maybe'.",
        "pagination.per_page (from config-local.yml) is not a whole number: 'none'.",
    ]


# Spellings


@pytest.mark.parametrize("word", ["true", "TRUE", "'true'", '"on"', "yes", "1", "t", " y "])
def test_words_for_on(load, word):
    assert load(PORTUS_LDAP_ENABLED=word).options.ldap.enabled is True


@pytest.mark.parametrize("word", ["false", "False", "'false'", '"off"', "no", "0", "f", "n"])
def test_words_for_off(load, word):
    assert load(PORTUS_SIGNUP_ENABLED=word).options.signup.enabled is False


@pytest.mark.parametrize("text", ["587", "587,", "'587'", " 587 "])
def test_the_port_as_the_files_of_2_4_spell_it(tmp_path, load, text):
    assert load(PORTUS_EMAIL_SMTP_PORT=text).options.email.smtp.port == 587
    write(tmp_path, f"email:\n  smtp:\n    port: {text}\n")
    assert load().options.email.smtp.port == 587


@pytest.mark.parametrize(("text", "minutes"), [("15", 15), ("5.minutes", 5), ("1.minute", 1), ("2.hours", 120)])
def test_the_life_of_a_token_in_older_spellings(load, text, minutes):
    options = load(PORTUS_REGISTRY_JWT_EXPIRATION_TIME_VALUE=text).options

    assert options.registry.jwt_expiration_time.value == minutes


def test_words_of_a_choice_in_any_case(load):
    options = load(PORTUS_EMAIL_SMTP_OPENSSL_VERIFY_MODE="PEER", PORTUS_LOG_LEVEL="WARN").options

    assert (options.email.smtp.openssl_verify_mode, options.runtime.log_level) == ("peer", "warning")


def test_a_scanner_without_a_scheme_is_reached_by_http(load):
    assert load(PORTUS_SECURITY_CLAIR_SERVER="clair:6060").options.security.clair.server == "http://clair:6060"


@pytest.mark.parametrize(
    ("address", "bind", "port"),
    [
        ("0.0.0.0:3001", "0.0.0.0", 3001),
        ("0.0.0.0", "0.0.0.0", 3000),
        ("[::]:3001", "::", 3001),
        ("[::1]", "::1", 3000),
    ],
)
def test_the_address_of_puma(load, address, bind, port):
    web = load(PORTUS_PUMA_HOST=address).options.web

    assert (web.bind, web.port) == (bind, port)


def test_our_names_beat_those_of_puma(load):
    puma = {"PORTUS_PUMA_HOST": "0.0.0.0:1", "PORTUS_PUMA_WORKERS": "0", "PORTUS_PUMA_MAX_THREADS": "8"}

    web = load(**puma).options.web
    assert (web.bind, web.port, web.workers, web.threads) == ("0.0.0.0", 1, 1, 8)
    web = load(**puma, PORTUS_WEB_BIND="::1", PORTUS_PORT="2", PORTUS_WEB_WORKERS="3").options.web
    assert (web.bind, web.port, web.workers, web.threads) == ("::1", 2, 3, 8)


def test_the_older_name_of_the_page_size_overrules(tmp_path, load):
    write(tmp_path, "pagination:\n  limit: 20\n  per_page: 30\n")
    assert load().options.pagination.per_page == 20

    write(tmp_path, "pagination:\n  limit: false\n  per_page: 30\n")
    assert load().options.pagination.per_page == 30


def test_names_without_effect_are_told_once(load):
    notices = load(PORTUS_PUMA_DAEMONIZE="yes", PORTUS_BACKGROUND="true", PORTUS_PASSWORD="x" * 12).notices

    assert notices == (
        "PORTUS_PUMA_DAEMONIZE has no effect: run `portus web` under a service manager instead.",
        "PORTUS_BACKGROUND has no effect: run `portus background`.",
        "PORTUS_PASSWORD is no longer needed: there is no `portus` user any more.",
    )


def test_an_old_name_beside_its_new_one_is_no_mistake(load):
    database = load(PORTUS_PRODUCTION_HOST="old", PORTUS_DB_HOST="new").options.runtime.database

    assert database.host == "new"


# Sources


def test_the_environment_beats_the_file_and_the_file_the_default(tmp_path, load):
    write(tmp_path, LDAP_FILE)

    loaded = load(PORTUS_LDAP_BASE="dc=b")

    assert loaded.options.signup.enabled is False
    assert (loaded.options.ldap.enabled, loaded.options.ldap.port, loaded.options.ldap.base) == (True, 636, "dc=b")
    assert loaded.options.ldap.authentication.password.get_secret_value() == "0123"
    assert loaded.options.pagination.per_page == 10
    assert (loaded.origins["ldap.port"], loaded.origins["ldap.base"]) == ("config-local.yml", "PORTUS_LDAP_BASE")


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "{}\n", "ldap:\n"])
def test_a_file_that_says_nothing_is_no_mistake(tmp_path, load, text):
    without = load()
    write(tmp_path, text)

    assert load() == without


def test_an_empty_text_is_a_value_and_an_empty_number_none(tmp_path, load):
    write(tmp_path, LDAP_FILE)

    options = load(PORTUS_LDAP_BASE="", PORTUS_LDAP_PORT="", PORTUS_LDAP_AUTHENTICATION_PASSWORD="").options

    assert (options.ldap.base, options.ldap.port) == ("", 636)
    assert options.ldap.authentication.password.get_secret_value() == "0123"


def test_a_secret_comes_from_its_file_unless_it_is_given(tmp_path, load):
    secret = tmp_path / "secret"
    secret.write_text("'hush hush' \r\n\n")
    name = "PORTUS_LDAP_AUTHENTICATION_PASSWORD"

    loaded = load(**{name: "", f"{name}_FILE": str(secret)})
    assert loaded.options.ldap.authentication.password.get_secret_value() == "'hush hush' "
    assert loaded.origins["ldap.authentication.password"] == f"{name}_FILE"
    given = load(**{name: "given", f"{name}_FILE": str(secret)})
    assert given.options.ldap.authentication.password.get_secret_value() == "given"


def test_the_key_base_is_the_operators_or_the_one_that_was_made(tmp_path, load):
    assert load().options.runtime.secret_key_base == ""
    (tmp_path / "secret_key_base").write_text("made" * 8 + "\n")
    assert load().options.runtime.secret_key_base == "made" * 8
    (tmp_path / "secret").write_text("theirs" * 8 + "\n")
    assert load(PORTUS_SECRET_KEY_BASE_FILE=str(tmp_path / "secret")).options.runtime.secret_key_base == "theirs" * 8


def test_a_short_key_base_is_a_mistake_wherever_it_comes_from(tmp_path, load, problems):
    assert load(PORTUS_SECRET_KEY_BASE="x" * 32).options.runtime.secret_key_base == "x" * 32
    assert problems(PORTUS_SECRET_KEY_BASE="x" * 31) == ["PORTUS_SECRET_KEY_BASE must have at least 32 characters."]
    (tmp_path / "secret").write_text("x\n")
    assert problems(PORTUS_SECRET_KEY_BASE_FILE=str(tmp_path / "secret")) == [
        "PORTUS_SECRET_KEY_BASE_FILE must have at least 32 characters."
    ]
    made = tmp_path / "secret_key_base"
    made.write_text("\n")
    assert problems() == [f"{made} must have at least 32 characters: remove it, and `portus migrate` makes a new one."]


@pytest.mark.parametrize("service", ["PORTUS", "PORTUS_WEB", "PORTUS_DB"])
def test_what_kubernetes_tells_of_services_is_ignored(load, service):
    noise = {
        f"{service}_SERVICE_HOST": "10.0.0.1",
        f"{service}_SERVICE_PORT": "3000",
        f"{service}_SERVICE_PORT_HTTP": "3000",
        f"{service}_PORT": "tcp://10.0.0.1:3000",
        f"{service}_PORT_3000_TCP": "tcp://10.0.0.1:3000",
        f"{service}_PORT_3000_TCP_PROTO": "tcp",
        f"{service}_PORT_3000_TCP_PORT": "3000",
        f"{service}_PORT_3000_TCP_ADDR": "10.0.0.1",
        "REGISTRY_PORT": "tcp://10.0.0.2:5000",
    }

    loaded = load(**noise)

    assert loaded == load()
    assert (loaded.options.web.port, loaded.options.runtime.registry_port) == (3000, 5000)


def test_variables_of_other_programs_are_ignored(load):
    assert load(PORTUSCTL_API_USER="a", PORTUS_HEALTH_QUIET="1", PATH="/bin", LDAP_BASE="x") == load()


# Addresses


def test_links_follow_the_name_of_the_machine_unless_an_address_is_given(load):
    assert load(PORTUS_MACHINE_FQDN_VALUE="a.example").options.public_url == "https://a.example"
    below = load(PORTUS_MACHINE_FQDN_VALUE="a.example", RAILS_RELATIVE_URL_ROOT="portus/").options
    assert (below.public_url, below.runtime.url_prefix) == ("https://a.example/portus", "/portus")
    given = load(PORTUS_PUBLIC_URL="http://b.example:3000/x/").options
    assert (given.public_url, given.runtime.url_prefix) == ("http://b.example:3000/x", "/x")
    both = load(PORTUS_PUBLIC_URL="http://b.example/x", RAILS_RELATIVE_URL_ROOT="/x").options
    assert (both.public_url, both.runtime.url_prefix) == ("http://b.example/x", "/x")
