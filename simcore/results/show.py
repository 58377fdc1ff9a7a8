"""How figures are written for people: one place, so that summary, report and compare agree."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, count
from typing import Any

from simcore.results.metrics import Counts
from simcore.results.statistics import Measurement
from simcore.units import show_duration

NOTHING = "-"
_JOULES = ((1e3, "kJ"), (1.0, "J"), (1e-3, "mJ"), (1e-6, "uJ"), (1e-9, "nJ"))


def time(ns: float | None) -> str:
    """A duration with three digits; `-` where there is none."""
    if ns is None or math.isnan(ns):
        return NOTHING
    if abs(ns) < 1000:  # 0.333 ns says nothing on a clock that counts them
        return "0" if ns == 0 else f"{ns:.3g} ns"
    return show_duration(ns, digits=3 if abs(ns) < 1e12 else 6)


def energy(joule: float | None) -> str:
    """An energy with three digits; `-` where there is none."""
    if joule is None or math.isnan(joule):
        return NOTHING
    size, unit = energy_unit(abs(joule) or 1.0)
    return f"{joule / size:.3g} {unit}"


def energy_unit(largest: float) -> tuple[float, str]:
    """The unit in which an energy (J) reads best: its size in J, and its name."""
    return next((unit for unit in _JOULES if largest >= unit[0]), _JOULES[-1])


def share(part: float, whole: float) -> str:
    """A share in percent; `-` of nothing."""
    return percent(part / whole) if whole else NOTHING


def percent(value: float) -> str:
    """A share in percent that never rounds to all or nothing what is neither."""
    shown = f"{100 * value:.1f}"
    if shown == "0.0" and value > 0:
        return "<0.1 %"
    if shown == "100.0" and value < 1:
        return ">99.9 %"
    return f"{shown.removesuffix('.0')} %"


def number(value: float | None) -> str:
    """A plain number with five digits; integers in full."""
    if value is None:
        return NOTHING
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.5g}"


def lost(counts: Counts) -> str:
    """Losses by reason, as `loss 3 (1.5 %), queue_full 1 (0.5 %)`."""
    parts = [f"{why} {n:,} ({share(n, counts.sent)})" for why, n in counts.lost.items()]
    return ", ".join(parts)


def measured(measurement: Measurement) -> tuple[str, str, str]:
    """Mean, standard error and 95 % interval of a measurement."""
    m = measurement
    if m.mean is None:
        most = ", ".join(f"{label(text)} ({n:,})" for text, n in m.texts)
        return most, NOTHING, NOTHING
    mean, error = recorded(m, m.mean), recorded(m, m.std_error)
    if m.low is None or m.high is None:
        return mean, error, NOTHING
    return mean, error, f"{recorded(m, m.low)} to {recorded(m, m.high)}"


def recorded(measurement: Measurement, value: float | None) -> str:
    """A figure of a measurement, in its unit as far as that is known."""
    if measurement.duration:
        return recorded_time(value)
    if value is None:
        return NOTHING
    return percent(value) if measurement.boolean else number(value)


def recorded_time(ns: float | None) -> str:
    """A recorded duration, with as many digits as other numbers have."""
    if ns is None:
        return NOTHING
    return show_duration(ns, digits=5) if ns else "0"


def more(count: int, what: str) -> str:
    """What a list leaves out, as `... and 3 more links`."""
    return f"... and {count:,} more {what}{'s' if count != 1 else ''}"


def label(text: object) -> str:
    """A name from a scenario or a model, safe to print on one line."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))


def distinct(names: Iterable[str]) -> Iterator[str]:
    """Names of files: each as it is, or with a number behind it if it was there before.

    Files that differ in case alone are one on some machines.
    """
    used: set[str] = set()
    for first in names:
        numbered = (f"{first}-{number}" for number in count(2))
        name = next(name for name in chain([first], numbered) if name.lower() not in used)
        used.add(name.lower())
        yield name


def digest(manifest: Mapping[str, Any], length: int = 12) -> str:
    """The digest, short; says so if the run has none."""
    value = manifest.get("digest")
    return str(value)[:length] if value else "none (unfinished)"


def scenario_name(manifest: Mapping[str, Any]) -> str:
    """Name of the scenario that was run."""
    return label((manifest.get("scenario") or {}).get("name") or "unnamed")


def identity(manifest: Mapping[str, Any]) -> str:
    """Where a figure comes from, as `quickstart, seed 42, digest 4a07171113be`."""
    return f"{scenario_name(manifest)}, seed {manifest.get('seed')}, digest {digest(manifest)}"


def ending(manifest: Mapping[str, Any]) -> str:
    """How the run ended, in a word or two."""
    reason = (manifest.get("exit") or {}).get("reason") or "unknown"
    # A killed run had no time to say so.
    return "running, or killed" if reason == "running" else label(reason).replace("_", " ")


def speed(manifest: Mapping[str, Any]) -> str:
    """Virtual and wall-clock time, their ratio, and lateness."""
    times = manifest.get("times") or {}
    virtual, wall = times.get("virtual_ns"), times.get("wall_s")
    if virtual is None or not wall:
        return "no times yet"
    text = f"{time(virtual)} of virtual time in {time(wall * 1e9)}"
    ratio = virtual / 1e9 / wall
    text += f" ({ratio:,.0f} x real time)" if ratio >= 100 else f" ({ratio:.3g} x real time)"
    late = times.get("late_s")
    return text if late is None else f"{text}, at most {time(late * 1e9)} late"


def own_share(manifest: Mapping[str, Any]) -> str | None:
    """The share of simcore itself in the wall-clock time; None of a run too short to tell."""
    times = manifest.get("times") or {}
    own, wall = times.get("simcore_s"), times.get("wall_s")
    if own is None or not wall:
        return None
    return f"simcore's own share about {100 * own / wall:.0f} %"  # sampled: no digits to give


def participants(manifest: Mapping[str, Any]) -> str | None:
    """How many participants there were and what they cost; None without any."""
    told = manifest.get("participants")
    if not told:
        return None
    kinds = {"reactive": "reactive", "free_running": "free-running", "network": "network"}
    counts = {word: told[kind] for kind, word in kinds.items() if told.get(kind)}
    parts = ", ".join(f"{n:,} {word}" for word, n in counts.items())
    wall = (manifest.get("times") or {}).get("wall_s")
    waited = share(told["waited_s"], wall or 0)
    count = told["exchanges"]
    exchanges = f"{count:,} exchange{'s' if count != 1 else ''}"
    return f"{parts}; {exchanges}; {waited} of wall time waited for them"


def windows(manifest: Mapping[str, Any]) -> str | None:
    """The windows of free-running participants; None without any."""
    told = manifest.get("windows")
    if not told:
        return None
    length = told["length_ns"]
    text = f"{told['count']:,}"
    text += " of any length" if length is None else f" of at most {time(length)}"
    quantum = told["quantum_ns"]
    return text if quantum is None else f"{text}, quantum {time(quantum)}"


def lateness(manifest: Mapping[str, Any], sent: int) -> str | None:
    """What a quantum made late, of so many messages; None if nothing was."""
    late = (manifest.get("windows") or {}).get("late") or {}
    count = late.get("messages")
    if not count:
        return None
    mean = late["total_ns"] / count
    return (
        f"{count:,} messages handed over late ({share(count, sent)}), "
        f"by {time(late['worst_ns'])} at worst, {time(mean)} on average"
    )


def command(*words: object) -> str:
    """A command line that can be pasted into a shell."""
    return shlex.join(["python", "-m", "simcore", *map(str, words)])
