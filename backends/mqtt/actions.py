"""What a client says is to be done."""

from __future__ import annotations

from typing import NamedTuple

from .packets import Packet, Publish


class Open(NamedTuple):
    """Make a network connection to the broker."""


class Send(NamedTuple):
    """Send a packet on it."""

    packet: Packet


class Close(NamedTuple):
    """End it: in order, behind what was sent, or at once."""

    at_once: bool


class Up(NamedTuple):
    """The broker has accepted the client, and may still have its session."""

    session_present: bool


class Down(NamedTuple):
    """There is no connection any more, and why. `final`: nor will the client try again."""

    why: str
    final: bool = False


class Arrived(NamedTuple):
    """A message for the application."""

    message: Publish


class Settled(NamedTuple):
    """A message or request has had its last answer; `codes` are those of a SUBACK."""

    token: int
    codes: tuple[int, ...] = ()


class Dropped(NamedTuple):
    """A message will not be sent, or not be sent again."""

    token: int
    why: str


Action = Open | Send | Close | Up | Down | Arrived | Settled | Dropped
