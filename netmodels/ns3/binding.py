"""ns-3 as Python sees it: the functions of `native/participant.cc`, by way of ctypes.

Standard library only. What is loaded is under ns-3's licence, GPL-2.0-only, and so is the process
that loads it; simcore's own process never does.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable, Sequence
from typing import Any

KINDS = {"p2p": 0, "csma": 1, "wifi": 2, "lrwpan": 3, "other": 4}
FATES = ("delivered", "loss", "queue_full", "link_down", "node_down")


class Settings(ctypes.Structure):
    """The keys of a segment."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("standard", ctypes.c_char_p),
        ("mode", ctypes.c_char_p),
        ("rate", ctypes.c_uint64),
        ("delay", ctypes.c_uint64),
        ("queue", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("loss", ctypes.c_double),
        ("bit_errors", ctypes.c_double),
    )


_U32, _U64, _I32, _I64 = ctypes.c_uint32, ctypes.c_uint64, ctypes.c_int32, ctypes.c_int64
_TEXT, _REAL = ctypes.c_char_p, ctypes.c_double
_FAREWELL = ctypes.CFUNCTYPE(None, _TEXT)
_FUNCTIONS = {
    "sn_on_giving_up": (None, _FAREWELL),
    "sn_open": (None, _U32, _U64, _U64, _I32),
    "sn_default": (_TEXT, _TEXT, _TEXT),
    "sn_nodes": (None, _U32, _I32, ctypes.POINTER(_REAL), ctypes.POINTER(_I64)),
    "sn_segment": (
        _U32, _U32, _U32, _U32,
        ctypes.POINTER(_U32), ctypes.POINTER(_I64), ctypes.POINTER(Settings),
    ),
    "sn_router": (None, _U32),
    "sn_route": (None, _U32, _U32, _I64),
    "sn_adopt_nodes": (_U32, _U32, ctypes.POINTER(_U32)),
    "sn_name": (_TEXT, _U32),
    "sn_survey": (_TEXT,),
    "sn_adopt_device": (_U32, _U32, _U32, _U32, _I64),
    "sn_adopted": (_I32,),
    "sn_sockets": (None, _U32),
    "sn_warm_up": (None, _U64),
    "sn_unassociated": (_I64,),
    "sn_unheard": (_I64, _U32, _U32),
    "sn_neighbours": (None, _U32, _U32),
    "sn_begin": (None,),
    "sn_way": (None, _TEXT, _TEXT, _U32, _U32, _U32),
    "sn_enter": (None, _TEXT, _U64, _U64, _U32, _U32, _U32),
    "sn_answer": (_I32, _I32, _U64, _U64),
    "sn_serve": (_TEXT, _I32, _I32),
    "sn_catch_up": (None, _U64),
    "sn_now": (_U64,),
    "sn_events": (_U64,),
    "sn_disturb": (None, _U64, _U32, _U32, _I32, _REAL),
    "sn_switch": (None, _U64, _U32, _I32),
    "sn_link": (None, _U64, _U32, _U64, _U64),
    "sn_pcap": (None, _U32, _TEXT),
    "sn_flow_monitor": (None,),
    "sn_report": (_I32, _U64, _TEXT, _TEXT),
    "sn_close": (None,),
}  # fmt: skip


class Binding:
    """The library, loaded.

    Args:
        file: the library.

    Attributes:
        doing: what ns-3 is asked to do before virtual time begins, for messages.
    """

    def __init__(self, file: str) -> None:
        # Global, so that bindings that are loaded later find the same ns-3.
        self.library = ctypes.CDLL(file, mode=ctypes.RTLD_GLOBAL)
        for name, (result, *arguments) in _FUNCTIONS.items():
            function = getattr(self.library, name)
            function.restype = result
            function.argtypes = arguments
        self.doing = ""

    def on_giving_up(self, tell: Callable[[str], None]) -> None:
        """Have someone told, with ns-3's own words, when it gives up and ends the process."""
        self._farewell = _FAREWELL(lambda text: tell(text.decode(errors="replace")))
        self.library.sn_on_giving_up(self._farewell)

    def default(self, name: str, value: str) -> str | None:
        """Set the default of an attribute; what is wrong with it, or None."""
        self.doing = f"network.defaults: {name} was set to '{value}'"
        problem = self.library.sn_default(name.encode(), value.encode())
        return None if problem is None else problem.decode()

    def nodes(
        self, ipv6: bool, positions: Sequence[Sequence[float]], streams: Sequence[int]
    ) -> None:
        """Make nodes at places (m), with numbers for their random streams."""
        flat = [float(value) for place in positions for value in place]
        self.library.sn_nodes(
            len(streams), ipv6, (_REAL * len(flat))(*flat), (_I64 * len(streams))(*streams)
        )

    def segment(
        self, number: int, kind: str, nodes: Sequence[int], streams: Sequence[int], keys: Settings
    ) -> int:
        """Join nodes; the number of the first of their devices."""
        first: int = self.library.sn_segment(
            number,
            KINDS[kind],
            len(nodes),
            (_U32 * len(nodes))(*nodes),
            (_I64 * len(streams))(*streams),
            ctypes.byref(keys),
        )
        return first

    def adopt_nodes(self, ids: Sequence[int]) -> list[str]:
        """Take nodes that somebody else made, by ns-3's numbers, and then all others.

        Returns:
            The name that each has in ns-3, or "".
        """
        count = self.library.sn_adopt_nodes(len(ids), (_U32 * len(ids))(*ids))
        return [self.library.sn_name(node).decode() for node in range(count)]

    def survey(self) -> list[dict[str, Any]]:
        """The devices of those nodes."""
        found: list[dict[str, Any]] = json.loads(self.library.sn_survey())
        return found
