"""A run's exchanges with participants on a time axis, for a viewer of traces.

The file is in the Trace Event Format (Google, "Trace Event Format", 2016), as JSON, which the
Perfetto UI and chrome://tracing open. One axis cannot show two times, so a run is two processes
there: "virtual time" shows what each participant was let go for, "wall time" who computed when,
and whom simcore waited for.

It is made after the run from the tables `exchange` and `participant`, row by row: a timeline
may be larger than memory.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from simcore.errors import UsageError
from simcore.results.store import Run, snapshot
from simcore.results.tables import has_rows
from simcore.results.writing import writing

VIRTUAL, WALL = 1, 2
"""Numbers of the two processes."""

_SIMCORE = 3
_FIRST = 4
_CHUNK = 1000
_compact = json.JSONEncoder(separators=(",", ":")).encode
_NAMES = {"reactive": "instant", "free_running": "window", "network": "network"}

_EXCHANGES = """
    SELECT participant, seq, at, until, inputs, outputs, begun, awaited, done,
        coalesce(reached, until)
    FROM exchange ORDER BY rowid
"""
_LIVES = "SELECT name, life, pid, command, started, ready, ended, exit FROM participant"


class Written(NamedTuple):
    """What a timeline holds."""

    exchanges: int
    participants: int


@dataclass(slots=True)
class _Track:
    """A row of the timeline: a thread, for the viewer."""

    process: int
    number: int
    end: int = 0

    def slice(self, name: str, begin: int, end: int, args: Mapping[str, Any]) -> str:
        """A stretch of time (ns) after all before it; an instant if it has no length."""
        begin = max(begin, self.end)
        self.end = max(begin, end)
        return self.event(name, begin, self.end - begin, args)

    def event(self, name: str, begin: int, length: int, args: Mapping[str, Any]) -> str:
        """A stretch of time (ns); an instant if it has no length."""
        what = f'"ph":"X","dur":{_us(length)}' if length else '"ph":"i","s":"t"'
        head = f'"name":{json.dumps(name)},"cat":"simcore",{what}'
        return f'{{{head},{self._at(begin)},"args":{_compact(args)}}}'

    def arrow(self, phase: str, number: int, at: int) -> str:
        """The begin (s) or end (f) of an arrow, bound to the slice that is there (ns)."""
        bound = ',"bp":"e"' if phase == "f" else ""
        head = f'"name":"answer","cat":"exchange","ph":"{phase}","id":{number}'
        return f"{{{head},{self._at(at)}{bound}}}"

    def _at(self, ns: int) -> str:
        return f'"pid":{self.process},"tid":{self.number},"ts":{_us(ns)}'


class _Tracks(NamedTuple):
    """The two rows of a participant."""

    kind: str
    virtual: _Track
    wall: _Track


def write_timeline(run: Run, path: Path) -> Written:
    """Write the timeline of a run.

    Args:
        run: the run; it may be under way or have failed.
        path: the file.

    Raises:
        UsageError: no participant took part in the run.
        ResultsError: the file cannot be written.
    """
    if not has_rows(run.connection, "participant") and not has_rows(run.connection, "exchange"):
        raise UsageError(
            f"{run.path} has no timeline: everything in it ran inside simcore, and a timeline "
            "shows the exchanges with participants outside"
        )
    with writing(path), path.open("w", encoding="ascii") as file, snapshot(run.connection):
        timeline = _Timeline(run.connection)
        file.write(_head(run.manifest))
        file.writelines(_separated(timeline.events()))
        file.write("\n]}\n")
    return Written(timeline.exchanges, len(timeline.participants))


def _separated(events: Iterator[str]) -> Iterator[str]:
    separator = ""
    for event in events:
        yield separator + event
        separator = ",\n"


class _Timeline:
    """The events of one run."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.exchanges = 0
        self.participants: dict[str, _Tracks] = {}
        self._connection = connection
        self._waiting = _Track(WALL, _SIMCORE)

    def events(self) -> Iterator[str]:
        """All, what they need to be shown under first."""
        kinds = _kinds(self._connection)
        for place, (name, kind) in enumerate(kinds.items(), _FIRST):
            wall = _Track(WALL, place + len(kinds))
            self.participants[name] = _Tracks(kind, _Track(VIRTUAL, place), wall)
        yield from self._metadata()
        for name, *life in self._connection.execute(_LIVES):
            yield from _life(self.participants[name].wall, *life)
        cursor = self._connection.execute(_EXCHANGES)
        while rows := cursor.fetchmany(_CHUNK):
            for name, *row in rows:
                self.exchanges += 1
                yield from self._exchange(name, *row)

    def _exchange(
        self, name: str, seq: int, at: int, until: int, inputs: int, outputs: int,
        begun: int, awaited: int, done: int, reached: int,
    ) -> Iterator[str]:  # fmt: skip
        """An exchange: what it was for, the participant's work, simcore's waiting for it."""
        kind, virtual, wall = self.participants[name]
        told = {"seq": seq, "inputs": inputs, "outputs": outputs}
        # A network may lag behind the run; it goes on from where it came to last.
        begin = {"reactive": until, "network": virtual.end}.get(kind, at)
        took = {"took_ns": done - begun, "waited_ns": done - awaited}
        yield virtual.slice(_NAMES[kind], begin, reached, told | took)
        yield wall.slice("advance", begun, done, told | {"at_ns": at, "until_ns": until})
        yield wall.arrow("s", self.exchanges, begun)
        yield self._waiting.slice(f"waits for {name}", awaited, done, {"seq": seq})
        yield self._waiting.arrow("f", self.exchanges, awaited)

    def _metadata(self) -> Iterator[str]:
        """Names and order of everything."""
        for process, name in ((VIRTUAL, "virtual time"), (WALL, "wall time")):
            yield from _named("process", {"pid": process}, name, process)
        yield from _named("thread", {"pid": WALL, "tid": _SIMCORE}, "simcore", 0)
        for order, (name, tracks) in enumerate(self.participants.items(), 1):
            for track in (tracks.virtual, tracks.wall):
                where = {"pid": track.process, "tid": track.number}
                yield from _named("thread", where, name, order)


def _kinds(connection: sqlite3.Connection) -> dict[str, str]:
    """The kind of each participant, in the order in which they were started first."""
    query = "SELECT name, kind FROM participant GROUP BY name ORDER BY min(started), name"
    kinds: dict[str, str] = dict(connection.execute(query))
    # Where simcore was killed, exchanges may be all that is known.
    query = "SELECT participant, max(until > at) FROM exchange GROUP BY participant"
    for name, ahead in connection.execute(query):
        kinds.setdefault(name, "free_running" if ahead else "reactive")
    return kinds


def _life(
    wall: _Track, life: int, pid: int | None, command: str,
    started: int, ready: int | None, ended: int | None, how: str | None,
) -> Iterator[str]:  # fmt: skip
    """How a participant started and ended."""
    up = ready if ready is not None else ended
    if up is not None:
        told = {"life": life, "pid": pid, "command": json.loads(command)}
        yield wall.event("starts", started, up - started, told)
    if ended is not None:
        yield wall.event(how or "ended", ended, 0, {"life": life})


def _us(ns: int) -> str:
    """Microseconds, the unit of the format, with nothing rounded away."""
    whole, rest = divmod(ns, 1000)
    return f"{whole}.{rest:03d}" if rest else str(whole)


def _head(manifest: Mapping[str, Any]) -> str:
    """The beginning of the file, with what tells the run from others."""
    told = {"scenario": (manifest.get("scenario") or {}).get("name")}
    told |= {key: manifest.get(key) for key in ("seed", "digest", "simcore")}
    texts = {key: str(value) for key, value in told.items()}
    return f'{{"displayTimeUnit":"ns","otherData":{_compact(texts)},"traceEvents":[\n'


def _named(what: str, where: Mapping[str, int], name: str, order: int) -> Iterator[str]:
    """What the viewer calls a process or a thread, and where it puts it."""
    for key, value in (("name", name), ("sort_index", order)):
        yield _compact({"name": f"{what}_{key}", "ph": "M", **where, "args": {key: value}})
