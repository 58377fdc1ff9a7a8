# SPDX-License-Identifier: MIT
# mypy: ignore-errors
# ruff: noqa: B904, BLE001, E402, F821, SIM105, UP004, UP031
"""What runs inside Renode: it connects to simcore, and runs the machine in exact windows.

Renode loads this file into its Monitor (`include @agent.py`), where the language is IronPython 2.7.
It is kept to what Python 2.7 and 3 have in common, so that tests can run it on a stand-in of
Renode, and it uses classes of .NET and of Renode alone, for there Python's own library may be
missing.

The conversation is that of `docs/protocol.md`, except for ADVANCE and DONE, which carry bytes and
levels of pins (`backends/firmware/frames.py`). All times are nanoseconds since power-on.
"""

import clr

# Which assembly has which class differs between releases of Renode, and between Mono and .NET;
# those that are not there are not needed there.
for assembly in (
    "System",
    "System.Console",
    "System.Net.Primitives",
    "System.Net.Sockets",
    "Infrastructure",
    "Extensions",
):
    try:
        clr.AddReference(assembly)
    except Exception:
        pass

import System
from Antmicro.Renode import Emulator
from Antmicro.Renode.Core import EmulationManager
from Antmicro.Renode.Time import TimeDomainsManager, TimeInterval
from Antmicro.Renode.UserInterface import CommandInteractionEater
from System.IO import File, StreamReader, StreamWriter
from System.Net import IPAddress
from System.Net.Sockets import TcpClient
from System.Text import UTF8Encoding
from System.Threading import Thread, ThreadStart

MONITOR = monitor  # a variable that Renode's Monitor gives to its scripts

GRAIN = 1000
"""Windows end at whole microseconds: a whole number of instructions, whatever the MIPS."""

MOST_SCHEDULED = 200
"""Actions that are scheduled at once: Renode looks through all of them for each of them."""

MOST_WRITTEN = 250000
"""Bytes of one window: about 8 MiB of DONE, half of what a line may have."""

RECEIVER = 0x2004
"""UE and RE in CR1 of an STM32F4's UART: both are needed to receive [RM0090 30.6.4]."""
CR1 = 0x0C

HEXADECIMAL = ["%02x" % byte for byte in range(256)]


class Trouble(Exception):
    """What cannot be done, in words for the user."""


# -- JSON ------------------------------------------------------------------------------------------

ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
WORDS = (("null", None), ("true", True), ("false", False))

try:
    character = unichr
except NameError:
    character = chr


def read_json(text, at=0):
    """The value that begins at a place, and where it ends. simcore writes no white space."""
    first = text[at]
    if first == '"':
        return read_text(text, at + 1)
    if first == "[":
        values = []
        at += 1
        while text[at] != "]":
            value, at = read_json(text, at)
            values.append(value)
            if text[at] == ",":
                at += 1
        return values, at + 1
    if first == "{":
        members = {}
        at += 1
        while text[at] != "}":
            name, at = read_json(text, at)
            members[name], at = read_json(text, at + 1)
            if text[at] == ",":
                at += 1
        return members, at + 1
    for word, value in WORDS:
        if text.startswith(word, at):
            return value, at + len(word)
    end = at
    while text[end] in "+-.0123456789eE":
        end += 1
    number = text[at:end]
    return (int(number) if number.lstrip("-").isdigit() else float(number)), end


def read_text(text, at):
    """The string whose first character is at a place, and the place behind its closing quote."""
    parts = []
    while True:
        end = text.find('"', at)
        escape = text.find("\\", at, end)
        if escape < 0:
            parts.append(text[at:end])
            return "".join(parts), end + 1
        parts.append(text[at:escape])
        letter = text[escape + 1]
        at = escape + 2
        if letter == "u":
            parts.append(character(int(text[at : at + 4], 16)))
            at += 4
        else:
            parts.append(ESCAPES.get(letter, letter))


def quote(text):
    """A text as a string of JSON."""
    parts = []
    for each in text:
        if each in '"\\':
            parts.append("\\" + each)
        elif each < " ":
            parts.append("\\u%04x" % ord(each))
        else:
            parts.append(each)
    return '"' + "".join(parts) + '"'


# -- Renode's Monitor ------------------------------------------------------------------------------


def command(line):
    """Have the Monitor do something.

    Raises:
        Trouble: it did not; with the Monitor's own words.
    """
    answer = CommandInteractionEater()
    # A script's commands answer to whoever uses the Monitor, and that is nobody here: without this
    # it would fail without a word.
    before = MONITOR.Interaction
    MONITOR.Interaction = answer
    try:
        done = MONITOR.Parse(line, answer)
    finally:
        MONITOR.Interaction = before
    said = answer.GetError().replace("\r", "").strip()
    if said or not done:
        said = said.replace("There was an error executing command '%s'" % line, "").strip()
        # A platform description is part of its command, and too long to be repeated.
        shown = line if len(line) < 200 else " ".join(line.split(" ")[:2]) + " ..."
        raise Trouble("Renode refused '%s': %s" % (shown, said or "it does not say why"))


def path_of(name):
    """A path as the Monitor reads it: up to white space or a semicolon, if it is not escaped."""
    for mark in ";\t\n\r":
        if mark in name:
            raise Trouble("Renode cannot read a path with %s in it: %s" % (quote(mark), name))
    # Of a file that is not there, Renode says that parameters do not match, or nothing better.
    if not File.Exists(name):
        raise Trouble("there is no file %s" % name)
    return "@" + name.replace(" ", "\\ ")


# -- the machine -----------------------------------------------------------------------------------


class Device(object):
    """The emulated machine, and what is to go in and has come out."""

    def __init__(self):
        self.emulation = EmulationManager.Instance.CurrentEmulation
        self.machine = self.cpu = None
        self.mips = 0
        self.now = 0
        self.running = False
        self.failure = None  # of a hook: what it did not do
        self.uarts = []
        self.pins = []
        self.chunks = []  # of bytes: [uart, due, step, bytes, index of the next one]
        self.levels = []  # of pins that are not due yet: [pin, at, level]
        self.outputs = []
        self.written = 0
        self.changes = []
        self.lost = []
        self.executed = 0

    # What is called from within the emulation.

    def hook(self, kind, what, body):
        """A delegate. An exception that left it would end the whole process with code 1."""

        def guarded(value):
            try:
                body(value)
            except Exception as error:
                if self.failure is None:
                    self.failure = "%s: %s" % (what, error)

        return kind(guarded)

    def elapsed(self):
        """Virtual time, exact between windows."""
        return int(self.emulation.MasterTimeSource.ElapsedVirtualTime.Ticks)

    def stamp(self):
        """When the instruction is executed that is executed now."""
        if not self.running:
            return self.now
        # The processor tells its time from time to time only; without this it is that of some
        # hundred instructions before. Only its own thread may ask.
        self.cpu.SyncTime()
        known, stamp = TimeDomainsManager.Instance.TryGetVirtualTimeStamp()
        return int(stamp.TimeElapsed.Ticks) if known else self.elapsed()

    # Setting up.

    def set_up(self, config):
        """Make the machine that INIT describes.

        Raises:
            Trouble: Renode refuses something.
        """
        # Otherwise there are two lines in its log for each window; warnings stay.
        command("logLevel 2")
        # Before there are devices that draw random numbers.
        command("emulation SetSeed %d" % config["seed"])
        self.describe(config["platform"], config["script"], config["elf"])
        self.find()
        # Otherwise the processor sleeps as long as it would on a real board.
        command("emulation SetGlobalAdvanceImmediately true")
        # A window is run in pieces of so many seconds. Their ends take time, and move stamps.
        command('emulation SetGlobalQuantum "1"')
        self.mips = config["mips"]
        self.cpu.PerformanceInMips = System.UInt32(self.mips)
        # The instructions of a block are charged when it begins, and a window that ends in the
        # middle of it makes it shorter: stamps of longer blocks would depend on the windows.
        self.cpu.MaximumBlockSize = 1
        if config["elf"] is not None:
            command("sysbus LoadELF " + path_of(config["elf"]))
        for number, name in enumerate(config["uarts"]):
            self.connect_uart(number, name)
        for number, (port, pin, direction) in enumerate(config.get("pins") or []):
            self.connect_pin(number, port, pin, direction)

    def describe(self, platform, script, elf):
        """Make what a platform description or a script of the user's says."""
        if script is not None and not script.endswith(".repl"):
            if elf is not None:
                command("$bin=" + path_of(elf))  # where scripts look for it
            command("include " + path_of(script))
        else:
            command('mach create "device"')
            if script is None:
                text = platform.replace("\r", "").replace('"', '\\"')
                command('machine LoadPlatformDescriptionFromString "%s"' % text)
            else:
                command("machine LoadPlatformDescription " + path_of(script))

    def find(self):
        """Look for the machine and its processor, whoever has made them."""
        if EmulationManager.Instance.CurrentEmulation is not self.emulation:
            raise Trouble("the script begins a new emulation: leave out 'Clear' and 'Load'")
        if self.emulation.IsStarted or self.elapsed():
            raise Trouble("the script lets time pass: leave 'start' and 'RunFor' to simcore")
        # With more than one on a common clock, time stamps differ from run to run.
        machines = list(self.emulation.Machines)
        if len(machines) != 1:
            raise Trouble("the script makes %d machines: one is needed" % len(machines))
        self.machine = machines[0]
        processors = list(self.machine.SystemBus.GetCPUs())
        if len(processors) != 1:
            raise Trouble("the platform has %d processors: one is needed" % len(processors))
        self.cpu = processors[0]
        command("mach set 0")  # whatever a script has left behind

    def peripheral(self, name):
        """A part of the machine."""
        try:
            return self.machine[name]
        except Exception as error:
            raise Trouble("the platform has no %s: %s" % (name, error))

    def connect_uart(self, number, name):
        """Note what a UART sends."""
        uart = self.peripheral(name)

        def written(byte):
            self.written += 1
            if self.written <= MOST_WRITTEN:
                self.outputs.append((number, self.stamp(), int(byte)))

        try:
            uart.CharReceived += self.hook(System.Action[System.Byte], name, written)
        except AttributeError:
            raise Trouble("%s is no UART" % name)
        # The model of the STM32's takes bytes if either of two bits is set, the part if both are;
        # others are asked nothing.
        is_known = uart.GetType().Name == "STM32_UART"
        self.uarts.append((uart, is_known))

    def connect_pin(self, number, name, pin, direction):
        """Note what becomes of a pin that the firmware drives."""
        port = self.peripheral(name)
        try:
            line = port.Connections[pin]
        except Exception:
            raise Trouble("%s has no pin %d" % (name, pin))
        if direction == "out":

            def changed(level):
                self.changes.append((number, self.stamp(), 1 if level else 0))

            what = "%s, pin %d" % (name, pin)
            line.AddStateChangedHook(self.hook(System.Action[System.Boolean], what, changed))
        self.pins.append((port, pin))

    # Running.

    def advance(self, until, inputs, levels):
        """Run up to a time, with bytes and levels that come in.

        Raises:
            Trouble: a hook has failed, or too much was written.
        """
        for uart, due, step, text in inputs:
            data = [int(text[at : at + 2], 16) for at in range(0, len(text), 2)]
            self.chunks.append([uart, due, step, data, 0])
        self.levels += levels
        self.outputs, self.changes, self.lost, self.written = [], [], [], 0
        events, begun, stop = self.due_before(until), 0, self.now
        while self.now < until and self.now == stop:
            stop = until
            if len(events) - begun > MOST_SCHEDULED:
                stop = events[begun + MOST_SCHEDULED][0] // GRAIN * GRAIN
                stop = min(max(stop, self.now + GRAIN), until)
            actions = []  # delegates must not be collected while they are scheduled
            while begun < len(events) and events[begun][0] < stop:
                actions.append(self.schedule(*events[begun]))
                begun += 1
            self.running = True
            try:
                period = TimeInterval.FromNanoseconds(System.UInt64(stop - self.now))
                self.emulation.RunFor(period)
            finally:
                self.running = False
            self.now = self.elapsed()
        if self.failure is not None:
            raise Trouble("a hook failed: " + self.failure)
        if self.written > MOST_WRITTEN:
            raise Trouble(
                "the firmware writes more in one window than fits in an answer: "
                "give the scenario a shorter 'window'"
            )

    def due_before(self, until):
        """What is to go in before a time, in order; the rest is kept."""
        events = [(at, False, pin, level) for pin, at, level in self.levels if at < until]
        self.levels = [each for each in self.levels if each[1] >= until]
        for chunk in self.chunks:
            uart, due, step, data, index = chunk
            while index < len(data) and due + index * step < until:
                events.append((due + index * step, True, uart, data[index]))
                index += 1
            chunk[4] = index
        self.chunks = [chunk for chunk in self.chunks if chunk[4] < len(chunk[3])]
        events.sort(key=lambda event: event[:2])
        return events

    def schedule(self, at, is_byte, number, value):
        """Have something go in at its time."""

        def act(_):
            if not is_byte:
                port, pin = self.pins[number]
                port.OnGPIO(pin, bool(value))
            elif self.listens(number):
                self.uarts[number][0].WriteChar(System.Byte(value))
            else:
                self.lost.append((number, at, "off"))

        action = self.hook(System.Action[TimeInterval], "an input at %d ns" % at, act)
        delay = TimeInterval.FromNanoseconds(System.UInt64(max(at - self.now, 0)))
        if at > self.now:
            self.machine.ScheduleAction(delay, action)
        else:
            action(delay)
        return action

    def listens(self, number):
        """Whether a UART would take a byte."""
        uart, is_known = self.uarts[number]
        return not is_known or int(uart.ReadDoubleWord(CR1)) & RECEIVER == RECEIVER

    # What DONE says.

    def done(self, seq, since):
        """The line that tells of a window."""
        executed = int(self.cpu.ExecutedInstructions)
        frame = [
            '{"type":"DONE","seq":%d,"now":%d,"outputs":[%s],"lost":[%s],"executed":%d'
            % (seq, self.now, self.show_outputs(), show(self.lost, '[%d,%d,"%s"]'), executed)
        ]
        if self.pins:
            frame.append(',"pins":[%s]' % show(self.changes, "[%d,%d,%d]"))
        if self.cpu.GetType().Name == "CortexM":
            status = int(self.cpu.FaultStatus)
            if status:
                frame.append(',"fault":[%d,0]' % status)  # Renode has no HFSR
        # Renode does not count instructions while the processor waits for an interrupt.
        awake = executed - self.executed >= (self.now - since) * self.mips // 1000
        state = "halted" if self.cpu.IsHalted else "running" if awake else "sleeping"
        self.executed = executed
        frame.append(',"state":"%s"}' % state)
        return "".join(frame)

    def show_outputs(self):
        """What was written; bytes with one stamp share an entry."""
        entries = []
        last = None
        for uart, at, byte in self.outputs:
            if (uart, at) != last:
                last = (uart, at)
                entries.append([uart, at, ""])
            entries[-1][2] += HEXADECIMAL[byte]
        return show(entries, '[%d,%d,"%s"]')


def show(entries, form):
    """A list of JSON, without its brackets."""
    return ",".join([form % tuple(each) for each in entries])


# -- the conversation ------------------------------------------------------------------------------


class Connection(object):
    """Lines to and from simcore."""

    def __init__(self, address):
        kind, _, place = address.partition(":")
        host, _, port = place.partition(":")
        if kind != "tcp" or host != "127.0.0.1":
            raise Trouble("SIMCORE_ADDRESS is %s: tcp:127.0.0.1:PORT is needed" % address)
        self.client = TcpClient()
        self.client.Connect(IPAddress.Loopback, int(port))
        self.client.NoDelay = True
        stream = self.client.GetStream()
        encoding = UTF8Encoding(False)  # without a mark at the beginning
        self.reader = StreamReader(stream, encoding)
        self.writer = StreamWriter(stream, encoding)

    def say(self, line):
        """Send a frame."""
        self.writer.Write(line + "\n")
        self.writer.Flush()

    def hear(self):
        """The next frame, or None: simcore is gone."""
        try:
            line = self.reader.ReadLine()
        except Exception:
            return None
        return read_json(line)[0] if line else None

    def close(self):
        """Say no more."""
        self.client.Close()


def answer(device, frame):
    """What is said to a frame, and whether it was the last one."""
    kind = frame["type"]
    if kind == "INIT":
        device.set_up(frame["config"])
        return '{"type":"READY","kind":"free_running","next":null,"grain":%d}' % GRAIN, False
    if kind == "ADVANCE":
        since = device.now
        device.advance(frame["until"], frame["inputs"], frame.get("pins") or [])
        return device.done(frame["seq"], since), False
    if kind == "SHUTDOWN":
        return '{"type":"BYE"}', True
    raise Trouble("there is no frame of type %s" % kind)


def converse(connection):
    """Until SHUTDOWN, or until simcore is gone.

    Raises:
        Trouble: it cannot go on; simcore was told.
    """
    device = Device()
    while True:
        frame = connection.hear()
        if frame is None or frame["type"] == "ERROR":
            return
        try:
            line, is_last = answer(device, frame)
        except Exception as error:
            text = str(error)
            if not isinstance(error, Trouble):
                text = "%s of the agent: %s" % (type(error).__name__, text)
            connection.say('{"type":"ERROR","message":%s}' % quote(text))
            raise Trouble(text)
        connection.say(line)
        if is_last:
            return


def variable(name):
    """A variable of the environment."""
    value = System.Environment.GetEnvironmentVariable(name)
    if value is None:
        raise Trouble("%s is not in the environment" % name)
    return value


def live():
    """From HELLO to the end of the process. Nothing may leave it: that would be a crash."""
    try:
        connection = Connection(variable("SIMCORE_ADDRESS"))
        try:
            connection.say(
                '{"type":"HELLO","protocol":1,"token":%s,"name":%s}'
                % (quote(variable("SIMCORE_TOKEN")), quote(variable("SIMCORE_NAME")))
            )
            converse(connection)
        finally:
            connection.close()
    except Exception as error:
        System.Console.Error.WriteLine("simcore's agent: %s" % error)
        System.Environment.ExitCode = 3
    Emulator.Exit()


# The rest happens on a thread of its own, which the emulation can wait for as long as it likes.
thread = Thread(ThreadStart(live))
thread.IsBackground = True
thread.Name = "simcore"
thread.Start()
# Without a port, Renode's shell reads its commands from what always has another character: if this
# file came to its end, that would take all of a core's time.
thread.Join()
