def lines(done):
    assert done.returncode == 0, done.stderr
    return dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)


def test_each_mistake_is_one_sentence_and_nothing_is_printed(portus):
    done = portus(
        "config", PORTUS_DELETE_ENABLED="perhaps", PORTUS_DELET_CONTRIBUTORS="true", DATABASE_URL="oracle://x/y"
    )

    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 3
    assert "did you mean PORTUS_DELETE_CONTRIBUTORS?" in done.stderr


def test_it_tells_values_and_where_they_come_from(portus, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/config-local.yml").write_text("signup: false\ndelete:\n  contributors: true\n")

    found = lines(portus("config", PORTUS_DELETE_CONTRIBUTORS="false", PORTUS_MACHINE_FQDN_VALUE="images.test"))

    assert found["signup.enabled"].startswith("false  # ")
    assert "config-local.yml" in found["signup.enabled"]
    assert found["delete.contributors"] == "false  # PORTUS_DELETE_CONTRIBUTORS"
    assert found["delete.enabled"].endswith("# default")
    assert found["public_url"].startswith("https://images.test  # ")


def test_it_masks_secrets(portus, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("from a file" * 3 + "\n")

    done = portus(
        "config",
        PORTUS_SECRET_KEY_BASE_FILE=str(secret),
        PORTUS_EMAIL_SMTP_PASSWORD="of the mail",
        DATABASE_URL="postgresql://portus:of-the-database@db/portus",
    )

    found = lines(done)
    assert found["email.smtp.password"] == "********  # PORTUS_EMAIL_SMTP_PASSWORD"
    assert found["runtime.secret_key_base"].startswith("********")
    assert found["runtime.database.password"].startswith("********")
    assert not [word for word in ("from a file", "of the mail", "of-the-database") if word in done.stdout]


def test_it_tells_what_has_no_effect_any_more(portus):
    done = portus("config", PORTUS_PUMA_DAEMONIZE="yes", PORTUS_PASSWORD="12341234")

    assert done.returncode == 0
    assert sorted(line.partition(" ")[0] for line in done.stderr.splitlines()) == [
        "PORTUS_PASSWORD", "PORTUS_PUMA_DAEMONIZE",
    ]  # fmt: skip
    assert "12341234" not in done.stdout + done.stderr


def test_it_ends_with_the_version(portus):
    assert portus("config").stdout.splitlines()[-1].startswith("Portus version: ")
