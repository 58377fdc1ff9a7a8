"""Takes a run's tables to where people work: CSV for every tool, Parquet for large runs.

Rows are streamed, so that a run larger than memory can be exported. Both formats have the
columns of `simcore.results.columns`; `columns.csv` beside them gives unit and meaning.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from simcore.errors import MissingDependency
from simcore.results.columns import TABLES, Table
from simcore.results.store import Run, snapshot
from simcore.results.tables import has_rows
from simcore.results.writing import writing

FORMATS = ("csv", "parquet")
_CHUNK = 50_000


def export(run: Run, directory: Path, form: str = "csv") -> list[tuple[Path, int]]:
    """Write every table of a run; those about participants only if there were any.

    Args:
        run: the run.
        directory: where to; made if it does not exist.
        form: `csv` (standard library only) or `parquet` (needs pyarrow, extra `report`).

    Returns:
        Each file with its number of rows.

    Raises:
        MissingDependency: Parquet without pyarrow.
        ResultsError: a file cannot be written.
    """
    write = _write_parquet if form == "parquet" else _write_csv
    if form == "parquet":
        _pyarrow()
    written: list[tuple[Path, int]] = []
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
        with snapshot(run.connection):
            tables = [t for t in TABLES if t.of is None or has_rows(run.connection, t.of)]
            for table in tables:
                path = directory / f"{table.name}.{form}"
                written.append((path, write(run, table, path)))
        _write_dictionary(directory / "columns.csv", tables)
    return written


def _write_csv(run: Run, table: Table, path: Path) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(column.name for column in table.columns)
        for rows in table.chunks(run.connection, _CHUNK):
            writer.writerows(rows)
            count += len(rows)
    return count


def _write_dictionary(path: Path, tables: Iterable[Table]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("table", "column", "unit", "meaning"))
        for table in tables:
            writer.writerows((table.name, c.name, c.unit, c.meaning) for c in table.columns)


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingDependency("pyarrow", extra="report", purpose="Parquet files") from None
    return pyarrow, pyarrow.parquet


def _write_parquet(run: Run, table: Table, path: Path) -> int:
    arrow, parquet = _pyarrow()
    types = {"int": arrow.int64(), "float": arrow.float64(), "str": arrow.string()}
    fields = [
        arrow.field(c.name, types[c.type], metadata={"unit": c.unit, "meaning": c.meaning})
        for c in table.columns
    ]
    schema = arrow.schema(fields, metadata=_origin(run))
    count = 0
    with parquet.ParquetWriter(path, schema) as writer:
        for rows in table.chunks(run.connection, _CHUNK):
            columns = [
                arrow.array(values, type=field.type)
                for values, field in zip(zip(*rows, strict=True), fields, strict=True)
            ]
            writer.write_table(arrow.Table.from_arrays(columns, schema=schema))
            count += len(rows)
    return count


def _origin(run: Run) -> dict[str, str]:
    """Where a file comes from, for when it has long left its run."""
    manifest = run.manifest
    return {
        "simcore.scenario": str((manifest.get("scenario") or {}).get("name")),
        "simcore.seed": str(manifest.get("seed")),
        "simcore.digest": str(manifest.get("digest")),
    }
