"""Opens a run for reading, whatever became of the process that wrote it.

People look at runs that are still going, that were killed, or that lie on a read-only share.
The database is in write-ahead mode while a run lasts, so each of these needs its own way in;
this module knows them and hands out one plain connection.
"""

from __future__ import annotations

import difflib
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from simcore.errors import MissingDependency, UsageError
from simcore.results.columns import (
    ENERGY,
    EXCHANGES,
    FAULTS,
    HOPS,
    INFERENCES,
    LATE,
    LINKS,
    MEASUREMENTS,
    MESSAGES,
    NODES,
    PARTICIPANTS,
    Table,
)
from simcore.results.tables import has_rows

if TYPE_CHECKING:
    import pandas as pd

MANIFEST = "manifest.json"
DATABASE = "run.sqlite"
FORMAT = 1
"""The newest format of manifest and database that this version reads."""

_CHUNK = 50_000
_PANDAS_TYPES = {"int": "Int64", "float": "float64", "str": "object"}


class Run:
    """One run, opened for reading. A context manager; `close()` when done.

    Virtual times and durations are in ns, sizes in bytes. DataFrames need pandas (extra
    `report`); their columns are those of `simcore.results.columns`, which gives the unit
    and meaning of each. Integer columns that may be empty are pandas' `Int64`.
    """

    def __init__(
        self, path: Path, manifest: dict[str, Any], connection: sqlite3.Connection
    ) -> None:
        self.path = path
        """The run directory."""
        self.manifest = manifest
        """What `manifest.json` says: scenario, seed, versions, digest, how the run ended."""
        self.connection = connection
        """Read-only connection to the database, for SQL without pandas."""

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        if isinstance(error, sqlite3.DatabaseError):  # damaged beyond its first page
            raise _unreadable(self.path / DATABASE, error) from error

    def close(self) -> None:
        """Release the database; the DataFrames already made stay valid."""
        self.connection.close()

    def messages(self) -> pd.DataFrame:
        """Every message with its fate, its cause and the parts of its latency, by time of fate."""
        return self._frame(MESSAGES)

    def measurements(self) -> pd.DataFrame:
        """Every recorded value, by time."""
        return self._frame(MEASUREMENTS)

    def faults(self) -> pd.DataFrame:
        """Begin and end of every fault, by time."""
        return self._frame(FAULTS)

    def links(self) -> pd.DataFrame:
        """Counts and load per link; written when the run ends."""
        return self._frame(LINKS)

    def nodes(self) -> pd.DataFrame:
        """The nodes in the order of the scenario."""
        return self._frame(NODES)

    def hops(self) -> pd.DataFrame:
        """Every hop of the messages that crossed several links."""
        return self._frame(HOPS)

    def participants(self) -> pd.DataFrame:
        """Every life of the participants outside simcore, by its start."""
        return self._frame(PARTICIPANTS)

    def exchanges(self) -> pd.DataFrame:
        """Every advance of a participant outside simcore, in the order of the answers."""
        return self._frame(EXCHANGES)

    def late(self) -> pd.DataFrame:
        """The messages that a quantum handed over later than they came, by their sending."""
        return self._frame(LATE)

    def inferences(self) -> pd.DataFrame:
        """Every inference: where it was answered and why, what it took, and what it cost."""
        return self._frame(INFERENCES)

    def energy(self) -> pd.DataFrame:
        """What each node drew, by life and purpose; see `simcore.results.energy` for totals."""
        return self._frame(ENERGY)

    def _frame(self, table: Table) -> pd.DataFrame:
        try:
            import pandas as pd
        except ImportError:
            raise MissingDependency("pandas", extra="report", purpose="DataFrames") from None
        names = [column.name for column in table.columns]
        there = table.of is None or has_rows(self.connection, table.of)
        rows: list[tuple[object, ...]] = []
        with snapshot(self.connection):
            for chunk in table.chunks(self.connection, _CHUNK) if there else ():
                rows += chunk
        columns = list(zip(*rows, strict=True)) or [()] * len(names)
        return pd.DataFrame(
            {
                column.name: pd.Series(values, dtype=_PANDAS_TYPES[column.type])
                for column, values in zip(table.columns, columns, strict=True)
            }
        )


def open_run(path: str | Path) -> Run:
    """Open a run directory: finished, failed, still being written, or read-only.

    Args:
        path: the run directory, the one that holds `manifest.json`.

    Raises:
        UsageError: the path is no run directory, or its files cannot be read.
    """
    directory = Path(path)
    manifest = _manifest(directory)
    connection = _connect(directory / DATABASE)
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > FORMAT:
        connection.close()
        raise _too_new(directory, version)
    return Run(directory, manifest, connection)


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """All queries inside see the same state of a run that is still being written."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("COMMIT")


def duration(manifest: dict[str, Any]) -> int:
    """Virtual time (ns) that a run covered; what it was to cover while it is under way."""
    covered = manifest.get("times", {}).get("virtual_ns")
    return int(covered if covered is not None else manifest.get("duration_ns") or 0)


def _manifest(directory: Path) -> dict[str, Any]:
    path = directory / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise _no_run(directory) from None
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path} cannot be read ({error}); the run may be damaged, {directory / DATABASE} "
            "can still be opened with sqlite3"
        ) from None
    if not isinstance(manifest, dict):
        raise UsageError(f"{path} is no manifest of a run: it holds no JSON object")
    if manifest.get("format", FORMAT) > FORMAT:
        raise _too_new(directory, manifest["format"])
    return manifest


def _too_new(directory: Path, version: int) -> UsageError:
    return UsageError(
        f"{directory} was written by a newer simcore (format {version}; this one reads up to "
        f"{FORMAT}): update simcore to read it"
    )


def _no_run(path: Path) -> UsageError:
    if not path.exists():
        folder = path.parent
        near = difflib.get_close_matches(path.name, _runs_in(folder), n=1)
        hint = f"; did you mean {folder / near[0]} ?" if near else _example(folder, "there")
        return UsageError(f"{path} does not exist{hint}")
    if path.is_file():
        if (path.parent / MANIFEST).is_file():
            return UsageError(f"{path} is a file: give its run directory, {path.parent}")
        return UsageError(
            f"{path} is a file, not a run directory; to run a scenario: python -m simcore {path}"
        )
    return UsageError(f"{path} is no run directory (it has no {MANIFEST}){_example(path)}")


def _example(directory: Path, where: str = "in it") -> str:
    runs = _runs_in(directory)
    if runs:
        return f"; runs {where}: {len(runs)}, for example {directory / runs[-1]}"
    return "; give the directory that `python -m simcore run` printed at its end"


def _runs_in(directory: Path) -> list[str]:
    """Names of the runs in a directory, oldest first."""
    try:
        found = [path.parent for path in directory.glob(f"*/{MANIFEST}")]
        return [path.name for path in sorted(found, key=lambda path: path.stat().st_mtime)]
    except OSError:
        return []


def _connect(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise UsageError(
            f"{path.parent} has no {DATABASE}: the run failed before it began, or was cleared"
        )
    location = "file:" + quote(str(path.resolve()))
    try:
        return _checked(f"{location}?mode=ro")
    except sqlite3.OperationalError:
        return _connect_read_only(path, location)
    except sqlite3.DatabaseError as error:
        raise _unreadable(path, error) from None


def _connect_read_only(path: Path, location: str) -> sqlite3.Connection:
    """A database in write-ahead mode where SQLite may not create its shared-memory file."""
    log = path.with_name(path.name + "-wal")
    try:
        if not log.is_file() or log.stat().st_size == 0:
            # Nobody can write here, so nothing can change under us.
            return _checked(f"{location}?immutable=1")
        return _copied(path, log)
    except (sqlite3.DatabaseError, OSError) as error:
        raise _unreadable(path, error) from None


def _copied(path: Path, log: Path) -> sqlite3.Connection:
    """What a killed run left in the write-ahead log can only be read where it can be replayed."""
    with tempfile.TemporaryDirectory(prefix="simcore-") as scratch:
        for file in (path, log):
            shutil.copyfile(file, Path(scratch) / file.name)
        with_log = sqlite3.connect(Path(scratch) / path.name)
        merged = sqlite3.connect(":memory:", isolation_level=None)
        try:
            with_log.backup(merged)
        finally:
            with_log.close()
    return merged


def _checked(location: str) -> sqlite3.Connection:
    connection = sqlite3.connect(location, uri=True, isolation_level=None, timeout=10)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _unreadable(path: Path, error: Exception) -> UsageError:
    return UsageError(
        f"{path} cannot be read as a database ({error}); "
        "if the run was copied, copy it again with all of its files, or repeat it"
    )
