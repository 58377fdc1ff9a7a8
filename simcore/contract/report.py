"""What came of an examination, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from simcore.contract.rules import RULES, Finding
from simcore.participant import Kind

_LISTED = 20


@dataclass(frozen=True)
class Report:
    """Which rules a program keeps, and which it breaks.

    Attributes:
        command: program and arguments.
        kind: what it is; None if it was never ready.
        transport: how it was spoken with.
        starts: how often it was started.
        rules: ids of the rules that are for it.
        broken: how rules were broken.
        unexamined: why rules were not examined.
    """

    command: list[str]
    kind: Kind | None
    transport: str
    starts: int
    rules: list[str]
    broken: dict[str, Finding]
    unexamined: dict[str, str]

    @property
    def kept(self) -> list[str]:
        """Ids of the rules that it was seen to keep."""
        return [each for each in self.rules if each not in {**self.broken, **self.unexamined}]

    def text(self) -> str:
        """For people."""
        kind = "never ready" if self.kind is None else self.kind.replace("_", "-")
        starts = f"{self.starts} start{'s' if self.starts != 1 else ''}"
        lines = [f"{' '.join(self.command)}: {kind}, {self.transport}, {starts}"]
        for rule in self.rules:
            if rule in self.broken:
                lines += ["", *_told(self.broken[rule])]
        grouped: dict[str, list[str]] = {}
        for rule in self.rules:
            if rule in self.unexamined:
                grouped.setdefault(self.unexamined[rule], []).append(rule)
        lines += ["", *(f"not examined: {self._named(ids)}: {why}" for why, ids in grouped.items())]
        lines += [""] if grouped else []
        counts = [f"{len(self.kept)} kept", f"{len(self.broken)} broken"]
        counts += [f"{len(self.unexamined)} not examined"] if self.unexamined else []
        lines.append(f"{len(self.rules)} rules: {', '.join(counts)}")
        return "\n".join(lines)

    def _named(self, ids: list[str]) -> str:
        most = len(ids) > _LISTED and len(ids) + len(self.broken) == len(self.rules)
        return "all other rules" if most else ", ".join(ids)

    def fields(self) -> dict[str, Any]:
        """For JSON."""
        states = {
            **dict.fromkeys(self.rules, "kept"),
            **dict.fromkeys(self.unexamined, "not examined"),
            **dict.fromkeys(self.broken, "broken"),
        }
        rules = []
        for rule in self.rules:
            entry: dict[str, Any] = {"id": rule, "state": states[rule]}
            if rule in self.broken:
                entry["finding"] = self.broken[rule].fields()
            elif rule in self.unexamined:
                entry["why"] = self.unexamined[rule]
            rules.append(entry)
        return {
            "command": self.command,
            "kind": self.kind,
            "transport": self.transport,
            "starts": self.starts,
            "rules": rules,
        }


def _told(finding: Finding) -> list[str]:
    """A broken rule, in a few lines."""
    times = f", {finding.count} times, at first" if finding.count > 1 else ""
    lines = [
        f"broken: {finding.rule}{times} in {finding.where}",
        f"  rule: {RULES[finding.rule].sentence}",
        f"  what: {finding.says}",
    ]
    lines += [f"  sent: {finding.sent}"] if finding.sent else []
    lines += [f"  came: {finding.came}"] if finding.came else []
    if finding.log:
        lines += ["  its last lines:", *(f"    {line}" for line in finding.log)]
    return lines
