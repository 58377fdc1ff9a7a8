"""What a run keeps of firmware: which it was, and what a device wrote that is no message."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from simcore.builds import digest
from simcore.errors import ResultsError

if TYPE_CHECKING:
    from simcore.federation import Federation


def note_file(federation: Federation, name: str, file: Path) -> None:
    """Have the manifest tell the digest of a file that is run."""
    federation.note_part(name, f"{file.name}, SHA-256 {digest(file)}")


class DeviceLog:
    """The log of a device, to which its emulator prints as well.

    Args:
        file: it need not be there yet.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def write(self, entries: Sequence[str]) -> None:
        """Append lines.

        Raises:
            ResultsError: the log cannot be written.
        """
        if not entries:
            return
        try:
            # Opened each time: the guard may have cut the file, and a device seldom writes here.
            with self._file.open("a", encoding="ascii") as file:
                file.write("".join(f"{entry}\n" for entry in entries))
        except OSError as error:
            raise ResultsError(f"{self._file} cannot be written: {error.strerror}") from error
