"""The directory of one run: made before anything starts, closed whatever happens.

Its manifest says what was run and how it ended. It is written first as "running" and
replaced at the end, so a run that was killed is told apart from one that completed.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simcore.clock import NEVER
from simcore.errors import ExitCode, ResultsError, SimcoreError

if TYPE_CHECKING:
    from simcore.plugins import Plugins
    from simcore.results.recorder import Recorder
    from simcore.scenario.model import Scenario
    from simcore.windows import Windows

_PACKAGES = ("simcore", "simpy", "msgspec", "numpy", "PyYAML", "jsonschema")
_RESERVE = 64 * 1024
_FILES = (
    "manifest.json", ".manifest.json", ".reserve", "run.sqlite", "run.sqlite-wal", "run.sqlite-shm",
)  # fmt: skip

log = logging.getLogger("simcore")


class Archive:
    """A run directory that is being written.

    Args:
        path: the directory; it must not exist, or be empty.
        scenario: what is run.
        plugins: for the determinism of the parts used.

    Raises:
        ResultsError: the directory is occupied or cannot be written.
    """

    def __init__(self, path: Path, scenario: Scenario, plugins: Plugins) -> None:
        self.path = path
        self.scenario = scenario
        self.database = path / "run.sqlite"
        self.inputs: dict[str, str] = {}
        self.parts: dict[str, str] = {}
        self.start_s = 0.0
        self.share: float | None = None
        self._began = time.perf_counter()
        self._made = not path.exists()
        try:
            path.mkdir(parents=True, exist_ok=True)
            occupied = any(path.iterdir())
        except FileExistsError as error:
            raise ResultsError(f"{path} is a file, not a directory") from error
        except OSError as error:
            raise _unwritable(path, error) from error
        if occupied:
            raise _occupied(path)
        try:
            # Of two runs that have found it empty at the same time, one makes this.
            (path / "logs").mkdir()
        except FileExistsError:
            raise _occupied(path) from None
        except OSError as error:
            self.discard()
            raise _unwritable(path, error) from error
        try:
            # Room for the final manifest, should the disk be full by then.
            (path / ".reserve").write_bytes(b"\0" * _RESERVE)
        except OSError as error:
            self.discard()
            raise _unwritable(path, error) from error
        self.manifest: dict[str, Any] = {
            "format": 1,
            "simcore": _version("simcore"),
            "scenario": {
                "name": scenario.name,
                "description": scenario.description,
                "path": str(scenario.path.resolve()) if scenario.path else None,
            },
            "seed": scenario.seed,
            "duration_ns": scenario.duration,
            "resolved": dict(scenario.resolved),
            "inputs": {},
            "versions": {"python": platform.python_version()}
            | {name.lower(): _version(name) for name in _PACKAGES},
            "parts": {},
            "platform": f"{platform.system()} {platform.machine()} {sys.implementation.name}",
            "determinism": determinism(scenario, plugins),
            "digest": None,
            "exit": {"reason": "running", "code": None, "message": None},
            "times": {"started": datetime.now(UTC).isoformat(timespec="seconds")},
            "counts": {},
        }
        self._write()

    def started(self) -> None:
        """Everything is built; what follows is the run."""
        now = time.perf_counter()
        self.start_s = now - self._began
        self._began = now

    def discard(self) -> None:
        """Remove what was written: nothing was started, so there is nothing to look at."""
        for name in (*_FILES, "logs/simcore.log"):
            with suppress(OSError):
                (self.path / name).unlink(missing_ok=True)
        for folder in (self.path / "logs", *([self.path] if self._made else [])):
            with suppress(OSError):
                folder.rmdir()

    def finish(
        self,
        end: int,
        digest: str | None,
        error: BaseException | None,
        recorder: Recorder,
        windows: Windows | None = None,
    ) -> None:
        """Write the final manifest.

        Args:
            end: virtual time that was reached, ns.
            digest: of a run that ended as planned; None otherwise.
            error: what ended the run, if it failed.
            recorder: for numbers of records.
            windows: of the free-running participants, if there are any.
        """
        wall = time.perf_counter() - self._began
        self.manifest["inputs"] = dict(sorted(self.inputs.items()))
        self.manifest["parts"] = dict(sorted(self.parts.items()))
        self.manifest["digest"] = digest
        self.manifest["times"] |= {
            "start_s": round(self.start_s, 6),
            "wall_s": round(wall, 6),
            "simcore_s": None if self.share is None else round(wall * self.share, 6),
            "virtual_ns": end,
        }
        self.manifest["counts"] = dict(recorder.counts)
        if recorder.participants:
            self.manifest["participants"] = {
                **recorder.participants,
                "exchanges": recorder.exchanges,
                "waited_s": round(recorder.waited / 1e9, 6),
            }
        if windows is not None:
            self.manifest["windows"] = _windows(windows, self.scenario.quantum)
            if windows.late.messages and self.manifest["determinism"] == "exact":
                self.manifest["determinism"] = "quantum"
        self.set_exit(error)

    def set_exit(self, error: BaseException | None) -> None:
        """Say how the run ended."""
        code = ExitCode.OK
        reason, message = "completed", None
        if isinstance(error, SimcoreError):
            code, reason, message = error.exit_code, error.reason, str(error)
        elif isinstance(error, KeyboardInterrupt):
            code, reason, message = ExitCode.INTERRUPTED, "interrupted", "stopped by Ctrl-C"
        elif error is not None:
            code, reason, message = ExitCode.FAILED, "error", f"{type(error).__name__}: {error}"
        self.manifest["exit"] = {"reason": reason, "code": int(code), "message": message}
        self._write()

    def fail_expectations(self, failed: Sequence[str]) -> None:
        """Say that the run came to its end and did not meet these expectations."""
        self.manifest["exit"] = {
            "reason": "expectation_failed",
            "code": int(ExitCode.DIFFERENT),
            "message": "; ".join(failed),
        }
        self._write()

    def _write(self) -> None:
        """Replace the manifest in one step; a full disk is reported, never raised over an error."""
        text = json.dumps(self.manifest, indent=2, ensure_ascii=False) + "\n"
        draft = self.path / ".manifest.json"
        try:
            if self.manifest["exit"]["reason"] != "running":
                (self.path / ".reserve").unlink(missing_ok=True)
            draft.write_text(text, encoding="utf-8")
            os.replace(draft, self.path / "manifest.json")
        except OSError as error:
            if self.manifest["exit"]["code"] in (None, int(ExitCode.OK)):
                raise ResultsError(f"cannot write the manifest in {self.path}: {error}") from error
            log.error("the manifest in %s could not be written: %s", self.path, error)


def _occupied(path: Path) -> ResultsError:
    return ResultsError(
        f"{path} is not empty: a run never overwrites another; name a new directory with --out"
    )


def _unwritable(path: Path, error: OSError) -> ResultsError:
    return ResultsError(
        f"cannot write the run directory {path}: {error.strerror or error}; name another with --out"
    )


def determinism(scenario: Scenario, plugins: Plugins) -> str:
    """A run is as exact as its weakest part."""
    parts = [plugins.netmodels[scenario.network["model"]].determinism]
    for group in {node.group: node for node in scenario.nodes}.values():
        backend = plugins.backends[group.implementation]
        asked = getattr(backend, "determinism_of", None)
        parts.append(backend.determinism if asked is None else asked(group.options))
    parts += [plugins.extensions[name].determinism for name in scenario.extensions]
    return "statistical" if "statistical" in parts else "exact"


def _windows(windows: Windows, quantum: int | None) -> dict[str, Any]:
    late = windows.late
    return {
        "count": windows.count,
        "length_ns": windows.length if windows.length < NEVER else None,
        "grain_ns": windows.grain,
        "quantum_ns": quantum,
        "late": {"messages": late.messages, "worst_ns": late.worst, "total_ns": late.total},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
