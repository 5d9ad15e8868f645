"""Which database: nothing said is SQLite; PORTUS_DB_* as in 2.4; DATABASE_URL over them."""

import pytest

from portus import config


@pytest.fixture
def load(tmp_path):
    return lambda **environ: config.load({"PORTUS_DATA": str(tmp_path), **environ})


@pytest.fixture
def database(load):
    return lambda **environ: load(**environ).options.runtime.database


@pytest.fixture
def problems(load):
    def problems(**environ):
        with pytest.raises(config.ConfigurationError) as error:
            load(**environ)
        return error.value.problems

    return problems


def test_sqlite_when_no_database_is_named(tmp_path, database):
    assert (database().engine, database().name) == ("sqlite", str(tmp_path / "portus.sqlite3"))
    assert database(PORTUS_DB_POOL="5", PORTUS_DB_TIMEOUT="5").engine == "sqlite"


def test_the_variables_and_defaults_of_2_4(database):
    found = database(PORTUS_DB_HOST="db")

    assert (found.engine, found.host, found.user, found.password, found.name, found.port) == (
        "mariadb", "db", "root", "", "portus_production", None,
    )  # fmt: skip


def test_every_variable_counts(tmp_path, database):
    (tmp_path / "password").write_text("p@ss: #word\n")

    found = database(
        PORTUS_DB_ADAPTER="postgresql",
        PORTUS_DB_HOST="db",
        PORTUS_DB_PORT="5433",
        PORTUS_DB_USERNAME="portus",
        PORTUS_DB_PASSWORD_FILE=str(tmp_path / "password"),
        PORTUS_DB_DATABASE="catalogue",
    )

    assert (found.engine, found.host, found.port, found.user, found.password, found.name) == (
        "postgresql", "db", 5433, "portus", "p@ss: #word", "catalogue",
    )  # fmt: skip
    assert database(PORTUS_DB_SOCKET="/run/mysqld.sock").socket == "/run/mysqld.sock"


def test_the_address_counts_before_the_variables(load):
    loaded = load(DATABASE_URL="postgres://me:p%40ss@db:5433/catalogue", PORTUS_DB_HOST="other", PORTUS_DB_SOCKET="/s")

    found = loaded.options.runtime.database
    assert (found.engine, found.host, found.port, found.user, found.password, found.name) == (
        "postgresql", "db", 5433, "me", "p@ss", "catalogue",
    )  # fmt: skip
    assert loaded.origins["runtime.database.host"] == "DATABASE_URL"
    assert loaded.origins["runtime.database.socket"] == "PORTUS_DB_SOCKET"


def test_what_the_address_leaves_open_comes_from_the_variables(database):
    found = database(DATABASE_URL="mysql2://db", PORTUS_DB_PASSWORD="hush", PORTUS_DB_DATABASE="catalogue")

    assert (found.engine, found.host, found.user, found.password, found.name) == (
        "mariadb", "db", "root", "hush", "catalogue",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("url", "name"),
    [("sqlite:///srv/portus.db", "/srv/portus.db"), ("sqlite3:portus.db", "portus.db")],
)
def test_a_sqlite_file_by_its_address(database, url, name):
    assert (database(DATABASE_URL=url).engine, database(DATABASE_URL=url).name) == ("sqlite", name)


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("postgresql://db/x?sslmode=verify-full&sslrootcert=/ca", {"sslmode": "verify-full", "sslrootcert": "/ca"}),
        ("postgresql://db/x?connect_timeout=5", {"connect_timeout": 5}),
        ("mysql2://db/x?sslca=/ca&ssl_mode=VERIFY_CA", {"ssl": {"ca": "/ca"}, "ssl_mode": "VERIFY_CA"}),
    ],
)
def test_the_address_may_ask_for_tls(database, query, options):
    assert database(DATABASE_URL=query).options == options


def test_parameters_of_2_4s_framework_have_no_effect(load):
    assert load(DATABASE_URL="mysql2://db/x?pool=5").notices == ("DATABASE_URL: the parameter pool has no effect.",)


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"PORTUS_DB_ADAPTER": "oracle"}, "PORTUS_DB_ADAPTER is none of mysql2, postgresql, sqlite3."),
        ({"DATABASE_URL": "oracle://db/x"}, "DATABASE_URL is none of mysql2, postgresql, sqlite3."),
        ({"DATABASE_URL": "db.example"}, "DATABASE_URL is none of mysql2, postgresql, sqlite3."),
        ({"DATABASE_URL": "mysql2://db:x/y"}, "DATABASE_URL is not an address: its host or port is wrong."),
        ({"DATABASE_URL": "mysql2://[db/y"}, "DATABASE_URL is not an address: its host or port is wrong."),
        ({"PORTUS_DB_PORT": "x"}, "PORTUS_DB_PORT is not a whole number: 'x'."),
        ({"DATABASE_URL": "mysql2://db/x?ssl=1"},
         "DATABASE_URL: ssl is not a parameter that Portus knows for this database."),
        ({"DATABASE_URL": "mysql2://db/x?connect_timeout=x"},
         "DATABASE_URL: connect_timeout is not a whole number of seconds."),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence(problems, environ, sentence):
    assert problems(**environ) == [sentence]


def test_a_mistake_never_shows_the_password(problems):
    assert "hush" not in str(problems(DATABASE_URL="mysql2://me:hush@db:x/y", PORTUS_DB_PORT="y"))
