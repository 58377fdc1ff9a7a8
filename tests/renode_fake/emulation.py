"""The emulated machine: virtual time, a processor that counts instructions, UARTs and pins.

What it has of Renode, each with a test: time in nanoseconds, of which an instruction takes 1000/MIPS;
windows that end exactly where they should; hooks on the processor's own thread, whose idea of the
time is stale until it is asked to synchronise; scheduled actions at the first instruction that begins
when they are due, or later; an exception that leaves a hook ends the process with code 1.
"""

from __future__ import annotations

import heapq
import itertools
import os
import queue
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from .dotnet import (
    Boolean,
    Byte,
    Delegate,
    DotNet,
    Event,
    UInt32,
    UInt64,
    crash,
    end,
    expect,
    say,
    touch,
)

TICK = (167_999 * 10**9, 168_000_000)
"""Period of SysTick as ns and divisor: Renode's is RVR ticks and not RVR + 1, at 168 MHz."""

QUANTUM = 100_000
"""A window is run in pieces of so many ns, and at their ends the processor tells its time."""

BLOCK = 32
"""Instructions of a block, if nobody says otherwise. They are all charged when it begins; a block is
made shorter where the time that the processor was given ends in it."""

RUNNING_RECEIVER, RUNNING_TRANSMITTER, ENABLED = 1 << 2, 1 << 3, 1 << 13


class RecoverableException(Exception):
    """What the Monitor shows and survives."""


class Log:
    """Of which lines there is a log: INFO is 1."""

    least = 1


def log(level: str, text: str) -> None:
    """A line of Renode's log."""
    if ("INFO", "WARNING", "ERROR").index(level) + 1 >= Log.least:
        say(f"00:00:00.0000 [{level}] {text}")


def burn(seconds: float) -> None:
    """Compute for so much CPU time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


class TimeInterval(DotNet):
    def __init__(self, ns: int) -> None:
        self.ns = ns

    @staticmethod
    def FromNanoseconds(ns: UInt64) -> TimeInterval:
        expect(ns, UInt64)
        return TimeInterval(int(ns))

    @property
    def Ticks(self) -> UInt64:
        return UInt64(self.ns)


class TimeStamp(DotNet):
    def __init__(self, ns: int) -> None:
        self.ns = ns

    @property
    def TimeElapsed(self) -> TimeInterval:
        return TimeInterval(self.ns)


class CpuThread:
    """Runs functions on a thread of its own, one at a time, while the caller waits."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.id: int | None = None
        threading.Thread(target=self._loop, daemon=True).start()

    def _loop(self) -> None:
        self.id = threading.get_ident()
        while True:
            work = self._work.get()
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - all of them
                crash(error)
            self._done.put(None)

    def run(self, work: Callable[[], None]) -> None:
        self._work.put(work)
        self._done.get()

    @property
    def is_current(self) -> bool:
        return threading.get_ident() == self.id


Program = Iterator[int | None]
"""What firmware does: a number of instructions to execute, or None: it waits for an interrupt."""


class World:
    """All of the emulation; its clock and its one processor.

    Attributes:
        now: virtual time between windows, ns.
        cycle: instructions that there was time for since power-on.
        known: the same, as far as the processor has told.
        executed: instructions that were executed.
        interrupt: whether something waits for the firmware.
        quantum: length of the pieces of a window, ns.
        block: instructions that are charged together.
        pieces: how many were run.
    """

    def __init__(self) -> None:
        self.thread = CpuThread()
        self.now = self.cycle = self.known = self.executed = 0
        self.mips = 100
        self.quantum, self.block, self.pieces = QUANTUM, BLOCK, 0
        self.machines: list[Machine] = []
        self.program: Program | None = None
        self.is_started = self.interrupt = self.halted = self.immediate = False
        self.fault_status = 0
        self.trouble = os.environ.get("FAKE_RENODE_TROUBLE", "").partition("@")
        self._burns = float(os.environ.get("FAKE_RENODE_WINDOW", "0"))
        self._left = self._limit = 0
        self._asleep = False
        self._entries: list[tuple[int, int, Delegate]] = []
        self._serial = itertools.count()

    def time_of(self, cycle: int) -> int:
        return cycle * 1000 // self.mips

    def cycle_of(self, ns: int) -> int:
        """The first instruction that begins at a time or behind it."""
        return -(-ns * self.mips // 1000)

    def troubled(self, kind: str, at: int) -> bool:
        what, _, when = self.trouble
        return what == kind and at >= int(when or 0)

    def run_for(self, period: int) -> None:
        if self.is_started:
            raise RecoverableException(
                "This action is not available when emulation is already started"
            )
        stop = self.now + period
        if self.troubled("throw", stop):
            raise RecoverableException("Something is wrong in here")
        if not self.immediate:
            time.sleep(period / 10**9)
        burn(self._burns)
        for each in self.machines:
            log("INFO", f"{each.name}: Machine resumed.")
        while self.now < stop:
            piece = min(stop, self.now + self.quantum)
            self.pieces += 1
            self.thread.run(partial(self._run, piece))
            self.now = piece
        for each in self.machines:
            log("INFO", f"{each.name}: Machine paused.")
        self.now = stop + 1000 * self.troubled("overshoot", stop)

    def _run(self, stop: int) -> None:
        last = stop * self.mips // 1000
        while self.cycle < last:
            target = last
            if self._entries:
                target = min(target, max(self.cycle_of(self._entries[0][0]), self.cycle))
            self._go(target)
            while self._entries and self.cycle_of(self._entries[0][0]) <= self.cycle:
                self.known = self.cycle
                heapq.heappop(self._entries)[2](TimeInterval(self.time_of(self.cycle)))
            self._make_trouble()
        self.known = self.cycle

    def _go(self, target: int) -> None:
        if self.halted or self.program is None:
            self.cycle = self.known = target
        elif self._left:
            self._limit = target
            step = min(self._left, target - self.cycle)
            self._left -= step
            self.executed += step
            self.cycle += step
            if self.cycle == target:
                self.known = self.cycle
        elif self._asleep and not self.interrupt:
            ticks = self.time_of(self.cycle) * TICK[1] // TICK[0] + 1
            wake = self.cycle_of(-(-ticks * TICK[0] // TICK[1]))
            self.cycle = self.known = min(target, wake)
            if self.cycle == wake:
                self._asleep, self._left = False, 40
        else:
            self._asleep = self.interrupt = False
            wanted = next(self.program)
            self._asleep, self._left = wanted is None, wanted or 0

    def tell(self) -> None:
        """The processor tells its time: with all of its block, except what is behind a limit."""
        charged = -(-self.cycle // self.block) * self.block
        self.known = max(self.cycle, min(charged, self._limit))

    def _make_trouble(self) -> None:
        at = self.time_of(self.cycle)
        if self.troubled("hang", at):
            threading.Event().wait()
        elif self.troubled("die", at):
            end(5)
        elif self.troubled("kill", at):
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.troubled("stop", at):
            self.trouble = ("", "", "")
            os.kill(os.getpid(), signal.SIGSTOP)

    def schedule(self, delay: int, action: Delegate) -> None:
        now = self.now
        if self.thread.is_current:
            self.known = self.cycle
            now = self.time_of(self.cycle)
        heapq.heappush(self._entries, (now + delay, next(self._serial), action))


class CortexM(DotNet):
    def __init__(self, world: World) -> None:
        self.world = world

    def SyncTime(self) -> None:
        world = self.world
        if world.troubled("unsynced", world.time_of(world.cycle)):
            raise RecoverableException("The processor does not tell its time")
        if world.thread.is_current:
            world.tell()
        else:
            log("ERROR", "cpu: Syncing time should be done from CPU thread only. "
                "Ignoring the operation")  # fmt: skip

    @property
    def ExecutedInstructions(self) -> UInt64:
        return UInt64(self.world.executed)

    @property
    def PerformanceInMips(self) -> UInt32:
        return UInt32(self.world.mips)

    @PerformanceInMips.setter
    def PerformanceInMips(self, mips: UInt32) -> None:
        expect(mips, UInt32)
        self.world.mips = int(mips)

    @property
    def MaximumBlockSize(self) -> int:
        return self.world.block

    @MaximumBlockSize.setter
    def MaximumBlockSize(self, instructions: int) -> None:
        if type(instructions) is not int:
            raise TypeError(f"expected int, got {type(instructions).__name__}")
        self.world.block = instructions

    @property
    def IsHalted(self) -> bool:
        return self.world.halted

    @property
    def FaultStatus(self) -> UInt32:
        return UInt32(self.world.fault_status)


class STM32_UART(DotNet):
    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.fifo: deque[int] = deque()
        self.control = 0
        self.event = Event(Byte)

    @property
    def CharReceived(self) -> Event:
        return self.event

    @CharReceived.setter
    def CharReceived(self, event: Event) -> None:
        if event is not self.event:
            raise TypeError("events can only be added to")

    def WriteChar(self, byte: Byte) -> None:
        expect(byte, Byte)
        if not self.control & (ENABLED | RUNNING_RECEIVER):
            log("WARNING", f"{self.name}: Received a character, but the receiver is not enabled, "
                "dropping.")  # fmt: skip
            return
        self.fifo.append(int(byte))
        self.world.interrupt = True

    def ReadDoubleWord(self, offset: int) -> UInt32:
        expect(offset, int)
        assert offset == 0x0C, "the agent reads CR1 and nothing else"
        return UInt32(self.control)

    def send(self, byte: int) -> None:
        """The firmware writes to DR."""
        if not self.control & (ENABLED | RUNNING_TRANSMITTER):
            log("WARNING", f"{self.name}: Trying to transmit a character, but the transmitter is not "
                "enabled. dropping.")  # fmt: skip
            return
        self.event.invoke(Byte(byte))


class GPIO(DotNet):
    def __init__(self) -> None:
        self.level = False
        self.event = Event(Boolean)

    def AddStateChangedHook(self, hook: Delegate) -> None:
        self.event += hook

    def drive(self, level: bool) -> None:
        if level != self.level:
            self.level = level
            self.event.invoke(level)


class STM32_GPIOPort(DotNet):
    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.pins = {number: GPIO() for number in range(16)}

    @property
    def Connections(self) -> dict[int, GPIO]:
        return self.pins

    def OnGPIO(self, number: int, level: bool) -> None:
        expect(number, int)
        expect(level, bool)
        self.pins[number].drive(level)  # what goes in comes out at the same pin, as in Renode
        self.world.interrupt = True


class Other(DotNet):
    """Any other part of a machine."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name


class SystemBus(DotNet):
    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def GetCPUs(self) -> list[CortexM]:
        return [part for part in self.machine.parts.values() if isinstance(part, CortexM)]


class Machine(DotNet):
    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.bus = SystemBus(self)
        self.parts: dict[str, Any] = {"sysbus": self.bus}

    def __getitem__(self, name: str) -> Any:
        touch("Machine.[]")
        if name not in self.parts:
            longest = "sysbus" if name.startswith("sysbus.") else ""
            raise RuntimeError(
                f"Could not find node '{name}', the longest matching was '{longest}'."
            )
        return self.parts[name]

    @property
    def SystemBus(self) -> SystemBus:
        return self.bus

    def ScheduleAction(self, delay: TimeInterval, action: Delegate) -> None:
        expect(delay, TimeInterval)
        if not isinstance(action, Delegate) or action.kind is not TimeInterval:
            raise TypeError(f"expected Action[TimeInterval], got {action!r}")
        self.world.schedule(delay.ns, action)


class MasterTimeSource(DotNet):
    def __init__(self, world: World) -> None:
        self.world = world

    @property
    def ElapsedVirtualTime(self) -> TimeInterval:
        return TimeInterval(self.world.now)


class Emulation(DotNet):
    def __init__(self, world: World) -> None:
        self.world = world
        self.source = MasterTimeSource(world)

    @property
    def IsStarted(self) -> bool:
        return self.world.is_started

    @property
    def Machines(self) -> list[Machine]:
        return self.world.machines

    @property
    def MasterTimeSource(self) -> MasterTimeSource:
        return self.source

    def RunFor(self, period: TimeInterval) -> None:
        expect(period, TimeInterval)
        self.world.run_for(period.ns)


class EmulationManager(DotNet):
    Instance: EmulationManager  # made by `begin`

    def __init__(self, emulation: Emulation) -> None:
        self.emulation = emulation

    @property
    def CurrentEmulation(self) -> Emulation:
        return self.emulation


class TimeDomainsManager(DotNet):
    Instance: TimeDomainsManager

    def __init__(self, world: World) -> None:
        self.world = world

    def TryGetVirtualTimeStamp(self) -> tuple[bool, TimeStamp]:
        if not self.world.thread.is_current:
            return False, TimeStamp(0)
        return True, TimeStamp(self.world.time_of(self.world.known))


def begin(world: World) -> None:
    """Make the objects of which there is one."""
    manager = EmulationManager(Emulation(world))
    type.__setattr__(EmulationManager, "Instance", manager)
    type.__setattr__(TimeDomainsManager, "Instance", TimeDomainsManager(world))
