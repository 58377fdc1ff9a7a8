"""What a deployed service logs: lines for people, or a JSON object a line for programs."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

FORMATS = ("plain", "json")


class _Plain(logging.Formatter):
    """`2026-01-31T12:00:00.000Z WARNING text`, tracebacks below."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """UTC, as logs of several machines are compared."""
        return _time(record)


class _Json(logging.Formatter):
    """One object a line, whatever the text holds."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        fields = {
            "time": _time(record),
            "level": record.levelname,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return f"{moment.isoformat(timespec='milliseconds').removesuffix('+00:00')}Z"


def start_logging(kind: str) -> None:
    """Send all that is logged in this process to standard error.

    Args:
        kind: one of `FORMATS`.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if kind == "json" else _Plain())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
