"""Measures the budgets of the architecture; bin/bench calls it."""

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from bench import report
from bench.data import DATA_SETS
from bench.lines import BOTH, LINES, NOTHING, Line
from bench.load import Load, LoadError, Sample
from bench.servers import DATABASE_SERVERS, WebServer, seconds_until_up, web_server
from portus.tests.servers.process import ServerError

WARM_UP_SECONDS = 0.4


@click.command()
@click.option("--database", type=click.Choice(["sqlite", *DATABASE_SERVERS]), default="sqlite", show_default=True)
@click.option("--rounds", default=9, show_default=True, help="How often everything is measured in turn.")
@click.option("--seconds", default=1.5, show_default=True, help="How long a line is measured in a round.")
@click.option("--connections", default=8, show_default=True, help="How many requests are under way at once.")
@click.option("--workers", default=2, show_default=True, help="Web processes; by default as many as Portus has.")
@click.option("--no-tags", is_flag=True, help="Leave out the tags, and the lines that need them.")
@click.option("--no-up", is_flag=True, help="Do not measure how long `portus up` takes.")
@click.option("--only", default="", metavar="TEXT", help="Measure only lines with this in their name.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the data sets in this folder, and take them from there next time. SQLite only.",
)
def main(
    *,
    database: str,
    rounds: int,
    seconds: float,
    connections: int,
    workers: int,
    no_tags: bool,
    no_up: bool,
    only: str,
    data: Path | None,
) -> None:
    """Measure what requests cost, beside a view that does nothing: the same server, the same run, in turns.

    A ratio is that of two samples of one round; shown are the median of the rounds and, after ±, half the width of
    their middle half. The clock decides, or the server's CPU time where the clock is too noisy. Exits with 1 when a
    budget is missed.
    """
    lines = [line for line in LINES if only in line.name and not (no_tags and line.needs_tags)]
    click.echo(
        f"{database}; web processes: {workers}; connections: {connections}; rounds: {rounds} of {seconds} s a line; "
        f"load of {os.cpu_count()} cores before: {os.getloadavg()[0]:.1f}\n"
    )
    with ExitStack() as stack:
        folder = data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="portus-bench-")))
        try:
            with web_servers(folder, database, tags=not no_tags, workers=workers) as servers:
                samples = measure(servers, [NOTHING, *lines], rounds, connections, seconds)
                verdicts = [*report.judge(samples, lines, database), judge_memory(servers)]
            click.echo(f"{report.table_of_samples(samples)}\n")
            if not no_up:
                verdicts.append(report.judge_start(seconds_until_up()))
        except (LoadError, ServerError) as error:
            raise click.ClickException(str(error)) from error
    click.echo(report.table_of_verdicts(verdicts))
    sys.exit(any(verdict.met is False for verdict in verdicts))


@contextmanager
def web_servers(folder: Path, database: str, *, tags: bool, workers: int) -> Iterator[dict[str, WebServer]]:
    """Yield a running server for each data set."""
    with ExitStack() as stack:
        servers = {}
        for name in BOTH:
            click.echo(f"Preparing the {name} data set.", err=True)
            servers[name] = stack.enter_context(web_server(folder, database, name, tags=tags, workers=workers))
        yield servers


def measure(
    servers: Mapping[str, WebServer], lines: Sequence[Line], rounds: int, connections: int, seconds: float
) -> report.Samples:
    """Take one sample a round for each line and data set: every other round backwards, so that no drift adds up."""
    steps = [(line, data_set) for line in lines for data_set in line.data_sets]
    samples: dict[tuple[str, str], list[Sample]] = {(line.name, data_set): [] for line, data_set in steps}
    for number in range(rounds):
        click.echo(f"Round {number + 1} of {rounds}.", err=True)
        for line, data_set in steps if number % 2 == 0 else reversed(steps):
            server = servers[data_set]
            load = Load(server.address, connections, WARM_UP_SECONDS, seconds, server.cpu_seconds)
            sample = load.run(line.requests(DATA_SETS[data_set], number), line.status)
            samples[line.name, data_set].append(sample)
    return samples


def judge_memory(servers: Mapping[str, WebServer]) -> report.Verdict:
    return report.judge_memory(max(server.biggest_worker() for server in servers.values()))


if __name__ == "__main__":
    main(prog_name="bin/bench")
