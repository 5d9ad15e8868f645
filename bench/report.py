"""What the samples say: medians over rounds, their spread, and whether the budgets are met."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from bench.lines import NOTHING, Line
from bench.load import Sample

# When the middle half of the rounds' wall-clock ratios is wider than this, the machine is busy with other things.
NOISY = 0.1
WORKER_MEGABYTES = 150
SECONDS_UNTIL_UP = 5

Samples = Mapping[tuple[str, str], Sequence[Sample]]  # by line and data set: one for each round


@dataclass(frozen=True)
class Ratio:
    """How one thing compares with another in the same round: the median, and how wide the middle half of them is."""

    value: float
    width: float  # as a part of the value

    @classmethod
    def of(cls, values: Iterable[float]) -> "Ratio":
        found = sorted(values)
        middle = median(found)
        low, _, high = quantiles(found, method="inclusive") if len(found) > 1 else (middle, middle, middle)
        return cls(middle, (high - low) / middle)

    def __str__(self) -> str:
        return f"{self.value:.2f} ± {self.width / 2:.0%}"


@dataclass(frozen=True)
class Comparison:
    """A ratio by the clock, and by the CPU time that the server took for an answer."""

    wall: Ratio
    cpu: Ratio

    @property
    def decisive(self) -> Ratio:
        """The clock, which sees waiting too, unless it is too noisy and CPU time is less so."""
        return self.cpu if self.wall.width > max(NOISY, self.cpu.width) else self.wall

    def __str__(self) -> str:
        reason = f"CPU; wall {self.wall} is too noisy" if self.decisive is self.cpu else f"wall; CPU {self.cpu}"
        return f"{self.decisive} ({reason})"


@dataclass(frozen=True)
class Verdict:
    """A budget, and what was measured. Whether it is met is None for one that is only meant for another database."""

    name: str
    measured: str
    wanted: str
    met: bool | None

    @property
    def word(self) -> str:
        return {True: "OK", False: "MISSED", None: "not judged"}[self.met]


def throughput(samples: Samples, line: Line, data_set: str) -> Comparison:
    """Return how many answers there are for one of the view that does nothing."""
    pairs = _pairs(samples, (line.name, data_set), (NOTHING.name, data_set))
    return Comparison(
        Ratio.of(this.per_second / nothing.per_second for this, nothing in pairs),
        Ratio.of(nothing.cpu_each / this.cpu_each for this, nothing in pairs),
    )


def growth(samples: Samples, line: Line) -> Comparison:
    """Return what an answer costs on the large data set for what it costs on the small one."""
    pairs = _pairs(samples, (line.name, "large"), (line.name, "small"))
    return Comparison(
        Ratio.of(small.per_second / large.per_second for large, small in pairs),
        Ratio.of(large.cpu_each / small.cpu_each for large, small in pairs),
    )


def _pairs(samples: Samples, these: tuple[str, str], those: tuple[str, str]) -> list[tuple[Sample, Sample]]:
    return list(zip(samples[these], samples[those], strict=True))


def judge(samples: Samples, lines: Iterable[Line], database: str) -> list[Verdict]:
    verdicts = []
    for line in lines:
        if line.share is not None:
            share = throughput(samples, line, line.data_sets[0])
            met = share.decisive.value >= line.share if database == "sqlite" else None
            verdicts.append(
                Verdict(f"{line.name}: throughput / do nothing", str(share), f"≥ {line.share} (SQLite)", met)
            )
        if line.growth is not None:
            grown = growth(samples, line)
            met = grown.decisive.value <= line.growth
            verdicts.append(Verdict(f"{line.name}: cost large / small", str(grown), f"≤ {line.growth}", met))
    return verdicts


def judge_memory(megabytes: float) -> Verdict:
    met = megabytes <= WORKER_MEGABYTES
    return Verdict("web worker after the load: resident", f"{megabytes:.0f} MB", f"≤ {WORKER_MEGABYTES} MB", met)


def judge_start(seconds: float) -> Verdict:
    met = seconds <= SECONDS_UNTIL_UP
    return Verdict("portus up, second start: ready after", f"{seconds:.1f} s", f"≤ {SECONDS_UNTIL_UP} s", met)


def table_of_samples(samples: Samples) -> str:
    rows = [("", "data", "requests/s", "CPU ms each", "generator's CPU")]
    for (line, data_set), found in samples.items():
        rate = Ratio.of(sample.per_second for sample in found)
        cost = median(sample.cpu_each for sample in found)
        own = median(sample.own_cpu_seconds / sample.seconds for sample in found)
        rows.append((line, data_set, f"{rate.value:,.0f} ± {rate.width / 2:.0%}", f"{cost * 1000:.2f}", f"{own:.0%}"))
    return _table(rows)


def table_of_verdicts(verdicts: Iterable[Verdict]) -> str:
    rows = [("budget", "measured", "wanted", "")]
    rows += [(said.name, said.measured, said.wanted, said.word) for said in verdicts]
    return _table(rows)


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
