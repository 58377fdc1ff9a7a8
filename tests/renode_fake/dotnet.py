"""Stand-ins of .NET's classes, and the rule for all stand-ins: whoever touches what is not in the
table of members ends the process.

Members of .NET begin with a capital letter, what is the stand-in's own does not: so the fake itself
never counts as somebody who touches a member.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from .members import MEMBERS

UNKNOWN = 70
"""Exit code of a process whose agent has touched what it may not."""

_NAMES = {name.rpartition(".")[2] for name in MEMBERS}
_touched: set[str] = set()


def end(code: int) -> NoReturn:
    """End the process at once, from whatever thread."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def say(text: str, *, error: bool = False) -> None:
    """Write a line, as Renode does."""
    stream = sys.stderr if error else sys.stdout
    stream.write(text + "\n")
    stream.flush()


def unknown(what: str) -> NoReturn:
    """Somebody has touched what Renode may not have."""
    say(f"fake: {what} is not in the table of members", error=True)
    end(UNKNOWN)


def touch(name: str) -> None:
    """Note that a member or a command is used."""
    if name in _touched:
        return
    _touched.add(name)
    if file := os.environ.get("FAKE_RENODE_TOUCHED"):
        with Path(file).open("a", encoding="utf-8") as stream:
            stream.write(name + "\n")


def _look(dotnet: str, name: str) -> None:
    if not name[:1].isupper():
        return
    if f"{dotnet}.{name}" in MEMBERS:
        touch(f"{dotnet}.{name}")
    elif name in _NAMES:
        raise AttributeError(f"'{dotnet}' object has no attribute '{name}'")
    else:
        unknown(f"{dotnet}.{name}")


class DotNetType(type):
    """The static members of a class."""

    def __getattribute__(cls, name: str) -> Any:
        _look(type.__getattribute__(cls, "__name__"), name)
        return type.__getattribute__(cls, name)

    def __setattr__(cls, name: str, value: Any) -> None:
        _look(cls.__name__, name)
        type.__setattr__(cls, name, value)


class DotNet(metaclass=DotNetType):
    """A class of .NET or Renode; Python's name is its name."""

    def __getattribute__(self, name: str) -> Any:
        _look(type(self).__name__, name)
        return object.__getattribute__(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        _look(type(self).__name__, name)
        object.__setattr__(self, name, value)

    def GetType(self) -> Type:
        return Type(type(self).__name__)


class Type(DotNet):
    def __init__(self, name: str) -> None:
        object.__setattr__(self, "Name", name)


class _Number(int):
    """A number of a certain width: overloads are told apart by it."""

    most = 0

    def __new__(cls, value: int) -> _Number:
        if not 0 <= value <= cls.most:
            raise OverflowError(f"value {value} does not fit into {cls.__name__}")
        return super().__new__(cls, value)


class Byte(_Number):
    most = 2**8 - 1


class UInt32(_Number):
    most = 2**32 - 1


class UInt64(_Number):
    most = 2**64 - 1


class Boolean:
    pass


def expect(value: object, kind: type) -> None:
    """What IronPython says when no overload takes an argument."""
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"expected {kind.__name__}, got {type(value).__name__}")


class Delegate:
    """A function with a type."""

    def __init__(self, kind: object, function: Callable[[Any], Any]) -> None:
        self.kind, self.function = kind, function

    def __call__(self, value: Any) -> None:
        self.function(value)


class Action:
    def __class_getitem__(cls, kind: object) -> Callable[[Callable[[Any], Any]], Delegate]:
        return lambda function: Delegate(kind, function)


class Event:
    """What functions are added to with `+=`."""

    def __init__(self, kind: type) -> None:
        self.kind = kind
        self.delegates: list[Delegate] = []

    def __iadd__(self, delegate: object) -> Event:
        if not isinstance(delegate, Delegate) or delegate.kind is not self.kind:
            raise TypeError(f"expected Action[{self.kind.__name__}], got {delegate!r}")
        self.delegates.append(delegate)
        return self

    def invoke(self, value: object) -> None:
        for delegate in self.delegates:
            delegate(value)


class Environment(DotNet):
    ExitCode = 0

    @staticmethod
    def GetEnvironmentVariable(name: str) -> str | None:
        return os.environ.get(name)

    @classmethod
    def code(cls) -> int:
        return type.__getattribute__(cls, "ExitCode")


class TextWriter(DotNet):
    def WriteLine(self, text: str) -> None:
        say(text, error=True)


class Console(DotNet):
    Error = TextWriter()


class IPAddress(DotNet):
    Loopback = "127.0.0.1"


class TcpClient(DotNet):
    NoDelay = False

    def __init__(self) -> None:
        self.socket = socket.socket()

    def Connect(self, address: str, port: int) -> None:
        self.socket.connect((address, port))

    def GetStream(self) -> socket.socket:
        return self.socket

    def Close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


class File(DotNet):
    @staticmethod
    def Exists(name: str) -> bool:
        return Path(name).is_file()


class UTF8Encoding(DotNet):
    def __init__(self, mark: bool) -> None:
        self.mark = mark


class StreamReader(DotNet):
    def __init__(self, stream: socket.socket, encoding: UTF8Encoding) -> None:
        self.file = stream.makefile("r", encoding="utf-8", newline="")

    def ReadLine(self) -> str | None:
        line = self.file.readline()
        return line.removesuffix("\n") if line else None


class StreamWriter(DotNet):
    def __init__(self, stream: socket.socket, encoding: UTF8Encoding) -> None:
        self.file = stream.makefile("w", encoding="utf-8-sig" if encoding.mark else "utf-8",
                                    newline="")  # fmt: skip

    def Write(self, text: str) -> None:
        self.file.write(text)

    def Flush(self) -> None:
        self.file.flush()


def ThreadStart(function: Callable[[], None]) -> Callable[[], None]:
    return function


class Thread(DotNet):
    """An exception that leaves it ends the process, as .NET does."""

    IsBackground = False
    Name = ""

    def __init__(self, start: Callable[[], None]) -> None:
        self.start = start
        self.thread = threading.Thread(target=self.run, daemon=True)

    def Start(self) -> None:
        self.thread.start()

    def Join(self) -> None:
        self.thread.join()

    def run(self) -> None:
        try:
            self.start()
        except BaseException as error:  # noqa: BLE001 - all of them
            crash(error)


def crash(error: BaseException) -> NoReturn:
    """What Renode does with an exception that nobody has caught."""
    say(f"Fatal error:\n{type(error).__name__}: {error}", error=True)
    end(1)
