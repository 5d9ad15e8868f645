import click

from portus.cli import load, place


@click.command()
def command() -> None:
    """Prepare what `portus web` and `portus background` work on; wait for a database server that is not up yet.

    Brings the database's tables up to date (and makes the database where the server has none), makes the signing key,
    its certificate and the secret key base in PORTUS_DATA where they are missing, collects static files, and
    registers what PORTUS_INIT_REGISTRY_HOSTNAME names. It may be run again at any time; run it before each new version
    starts.
    """
    runtime = place.read_configuration(notices=True).options.runtime
    place.prepare_folder(runtime.data)
    if not runtime.secret_key_base:
        place.keep_secret(runtime.data / place.SECRET_KEY_BASE)
    prepare = load("prepare")
    prepare.prepare_keys()
    prepare.prepare_database()
    prepare.collect_static_files()
    prepare.register_first()
    prepare.tell_about_secrets()
    click.echo("Portus is prepared.")
