"""What to do with a run next: commands that can be pasted into a shell."""

from __future__ import annotations

from simcore.results import show
from simcore.results.store import Run
from simcore.results.tables import has_rows


def commands(run: Run) -> list[str]:
    """Commands that show more of a run than its summary."""
    found = [show.command("report", run.path)]
    worth_tracing = _worth_tracing(run)
    if worth_tracing:
        found.append(show.command("trace", run.path, *worth_tracing))
    found.append(show.command("export", run.path))
    if (run.manifest.get("participants") or {}).get("exchanges"):
        found.append(show.command("timeline", run.path))
    return found


def _worth_tracing(run: Run) -> list[str]:
    """What to try `trace` on: an inference that came back, or a message that led to another."""
    read = run.connection.execute
    if has_rows(run.connection, "inference"):
        row = read(
            "SELECT n.name, i.n FROM inference i JOIN node n ON n.id = i.node "
            "WHERE i.answer_number IS NOT NULL LIMIT 1"
        ).fetchone()
        if row is not None:
            return ["--inference", *map(str, row)]
    for query in (
        "SELECT n.name, t.number FROM trail t JOIN node n ON n.id = t.source "
        "WHERE t.cause_number IS NOT NULL LIMIT 1",
        "SELECT n.name, m.number FROM message m JOIN node n ON n.id = m.source LIMIT 1",
    ):
        row = read(query).fetchone()
        if row is not None:
            return ["{}/{}".format(*row)]
    return []
