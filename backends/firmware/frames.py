"""The frames that simcore and an emulated machine exchange, where a participant has messages.

An emulator knows of no messages. So its ADVANCE and DONE carry what is put into the receivers of
its UARTs and what came out of their transmitters, each byte with the nanosecond since power-on,
and the levels of pins; the rest of the conversation is that of `docs/protocol.md`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from simcore.protocol import frames
from simcore.protocol.frames import Seq, Time

Uart = Annotated[int, Meta(ge=0, description="Number of the UART, from 0.")]
Hex = Annotated[str, Meta(pattern="^([0-9a-f]{2})+$", description="Bytes, in hexadecimal.")]


class Chunk(Struct, frozen=True, array_like=True, gc=False):
    """Bytes for a receiver; they are complete one after the other."""

    uart: Uart
    due: Annotated[Time, Meta(description="When the first one is complete (ns).")]
    step: Annotated[int, Meta(ge=1, description="Time from one to the next (ns).")]
    bytes: Hex


class Written(Struct, frozen=True, array_like=True, gc=False):
    """Bytes that the firmware gave to a transmitter."""

    uart: Uart
    at: Annotated[Time, Meta(description="When (ns).")]
    bytes: Hex


class Lost(Struct, frozen=True, array_like=True, gc=False):
    """A byte that the receiver could not take."""

    uart: Uart
    at: Annotated[Time, Meta(description="When it was complete (ns).")]
    why: Annotated[str, Meta(description="overrun: the previous one was not read; off.")]


class Change(Struct, frozen=True, array_like=True, gc=False):
    """A pin that takes another level."""

    pin: Annotated[int, Meta(ge=0, description="Number of the pin, from 0.")]
    at: Annotated[Time, Meta(description="When (ns).")]
    level: Annotated[int, Meta(ge=0, le=1, description="0 or 1.")]


class Advance(Struct, frozen=True, tag_field="type", tag="ADVANCE", gc=False):
    """The machine may run up to `until`, exclusive; times are counted from power-on."""

    seq: Seq
    until: Time
    inputs: list[Chunk]
    pins: list[Change] | UnsetType = UNSET
    """Of machines that have pins."""


class MachineDone(Struct, frozen=True, tag_field="type", tag="DONE", forbid_unknown_fields=True):
    """The machine has run; an instruction that was under way at `until` is finished."""

    seq: Seq
    now: Time
    outputs: list[Written] = []
    lost: list[Lost] = []
    executed: Annotated[int, Meta(ge=0, description="Instructions since power-on.")] = 0
    fault: tuple[int, int] | None = None
    """CFSR and HFSR of the core, if one of them is not 0."""
    pins: list[Change] = []
    state: Literal["", "running", "sleeping", "halted"] = ""
    """What the processor has done."""


decode = frames.decoder(MachineDone)
"""Read DONE, or ERROR; raises ProtocolError."""
