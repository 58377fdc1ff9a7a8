#!/usr/bin/env python3
"""Started as Renode is: its command line, its habits with files and ports, and its Monitor.

What it does beside that is told by its environment:

    FAKE_RENODE_VERSION   the release it is: 1.15.3 or 1.16.1 (default), or any other
    FAKE_RENODE_START     seconds that it waits until it has started
    FAKE_RENODE_BURN      seconds of CPU time that it takes to start
    FAKE_RENODE_WINDOW    seconds of CPU time that each RunFor takes, beside what it does
    FAKE_RENODE_TOUCHED   a file to which the members are added that were touched
    FAKE_RENODE_TROUBLE   what goes wrong, and when in virtual time: hang@NS in RunFor, die@NS,
                          kill@NS, stop@NS, overshoot@NS (RunFor does not end where it should),
                          throw@NS (RunFor fails), unsynced@NS (hooks fail), mute (no script is run)
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
import threading
import time
import types
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from renode_fake import dotnet, emulation, monitor

_VERSION = os.environ.get("FAKE_RENODE_VERSION", "1.16.1")
_ON_MONO = _VERSION < "1.16.1"

_FLAGS = {"-p": "plain", "--plain": "plain", "--disable-xwt": "disable-xwt",
          "--disable-gui": "disable-xwt", "--hide-monitor": "hide-monitor", "--hide-log": "hide-log",
          "--hide-analyzers": "hide-analyzers", "-v": "version", "--version": "version",
          "--console": "console", "--keep-temporary-files": "keep-temporary-files"}  # fmt: skip
_VALUES = {"-P": "port", "--port": "port", "-e": "execute", "--execute": "execute",
           "--config": "config", "--pid-file": "pid-file",
           "--robot-server-port": "robot-server-port"}  # fmt: skip


def options_of(arguments: list[str]) -> dict[str, Any] | None:
    """The command line, or None: Renode shows how it is used, and ends with code 0."""
    found: dict[str, Any] = {"execute": [], "port": "-1", "files": []}
    unexpected = []
    rest = iter(arguments)
    for each in rest:
        if each in _FLAGS:
            found[_FLAGS[each]] = True
        elif each in _VALUES:
            name, value = _VALUES[each], next(rest, None)
            if value is None:
                dotnet.say(f"Option '{name}' requires parameter of type 'String'\n")
                return None
            if name == "execute":
                found["execute"].append(value)
            else:
                found[name] = value
        elif each.startswith("-") or found["files"]:
            unexpected.append(each)
        else:
            found["files"].append(each)
    if unexpected:
        dotnet.say(f"Unexpected options detected: {' '.join(unexpected)}\n")
        dotnet.say("usage: Renode.exe [options] [file-to-include / snapshot]")
        return None
    return found


def show_version() -> None:
    runtime = "Mono 4.0.30319.42000" if _ON_MONO else ".NET 8.0.11"
    dotnet.say(f"Renode v{_VERSION}.30713\n  build: d66d4cf5-202602111059\n  build type: Release\n"
          f"  runtime: {runtime}")  # fmt: skip


class Agent:
    """The assemblies and classes that a script finds, and the script."""

    def __init__(self, world: emulation.World) -> None:
        self.exit = threading.Event()
        self.is_running = False
        self.assemblies = {"System.Private.CoreLib", "Extensions" if _ON_MONO else "Infrastructure"}
        self._install(world)

    def load(self, file: Path, of: monitor.Monitor) -> None:
        self.is_running = True
        scope = {"__name__": "__main__", "monitor": of, "self": of}
        exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), scope)

    def add_reference(self, name: str) -> None:
        there = {"System", "Infrastructure", "System.Private.CoreLib", "System.Net.Sockets",
                 "System.Console", "System.Net.Primitives"}  # fmt: skip
        if _ON_MONO:
            there = {"System", "Infrastructure", "Extensions"}
        if name not in there:
            raise OSError(f"Could not add reference to assembly {name}")
        self.assemblies.add(name)

    def _install(self, world: emulation.World) -> None:
        clr = types.ModuleType("clr")
        clr.AddReference = self.add_reference
        sys.modules["clr"] = clr
        emulation.begin(world)
        exit = self.exit

        class Emulator(dotnet.DotNet):
            @staticmethod
            def Exit() -> None:
                exit.set()

        of_net = "System" if _ON_MONO else "System.Net.Sockets"
        addresses = "System" if _ON_MONO else "System.Net.Primitives"
        console = "System.Private.CoreLib" if _ON_MONO else "System.Console"
        core, renode = "System.Private.CoreLib", "Extensions" if _ON_MONO else "Infrastructure"
        classes = {
            "System.Action": (core, dotnet.Action),
            "System.Boolean": (core, dotnet.Boolean),
            "System.Byte": (core, dotnet.Byte),
            "System.Console": (console, dotnet.Console),
            "System.Environment": (core, dotnet.Environment),
            "System.IO.File": (core, dotnet.File),
            "System.IO.StreamReader": (core, dotnet.StreamReader),
            "System.IO.StreamWriter": (core, dotnet.StreamWriter),
            "System.Net.IPAddress": (addresses, dotnet.IPAddress),
            "System.Net.Sockets.TcpClient": (of_net, dotnet.TcpClient),
            "System.Text.UTF8Encoding": (core, dotnet.UTF8Encoding),
            "System.Threading.Thread": (core, dotnet.Thread),
            "System.Threading.ThreadStart": (core, dotnet.ThreadStart),
            "System.UInt32": (core, dotnet.UInt32),
            "System.UInt64": (core, dotnet.UInt64),
            "Antmicro.Renode.Emulator": ("Infrastructure", Emulator),
            "Antmicro.Renode.Core.EmulationManager": (
                "Infrastructure",
                emulation.EmulationManager,
            ),
            "Antmicro.Renode.Time.TimeDomainsManager": (
                "Infrastructure",
                emulation.TimeDomainsManager,
            ),
            "Antmicro.Renode.Time.TimeInterval": ("Infrastructure", emulation.TimeInterval),
            "Antmicro.Renode.UserInterface.CommandInteractionEater": (
                renode,
                monitor.CommandInteractionEater,
            ),
        }
        for whole in classes:
            parts = whole.split(".")
            for count in range(1, len(parts)):
                name = ".".join(parts[:count])
                sys.modules.setdefault(name, Namespace(name, classes, self.assemblies))


class Namespace(types.ModuleType):
    """Classes are found once their assembly was referred to."""

    def __init__(self, name: str, classes: dict[str, tuple[str, Any]], there: set[str]) -> None:
        super().__init__(name)
        self.__path__: list[str] = []
        self._classes, self._there = classes, there

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        whole = f"{self.__name__}.{name}"
        if whole not in self._classes:
            if whole in sys.modules:
                return sys.modules[whole]
            dotnet.unknown(whole)
        assembly, found = self._classes[whole]
        if assembly not in self._there:
            raise AttributeError(f"{whole} is in {assembly}, which was not referred to")
        dotnet.touch(whole)
        return found


def use_folders() -> Path:
    """What Renode does with the folder for temporary files, and in the user's."""
    folder = Path(tempfile.gettempdir())
    for each in folder.glob("renode-*"):
        number = each.name.removeprefix("renode-")
        alive = number.isdigit() and Path(f"/proc/{number}").exists()
        if each.is_dir() and not each.name.endswith("-crash") and not alive:
            shutil.rmtree(each)
    own = folder / f"renode-{os.getpid()}"
    own.mkdir(exist_ok=True)
    home = os.environ.get("XDG_CONFIG_HOME") or os.environ["HOME"] + "/.config"
    user = Path(home) / "renode"
    user.mkdir(parents=True, exist_ok=True)
    (user / "config").touch()
    return own


def open_port(options: dict[str, Any]) -> socket.socket | None:
    """Whoever does not say otherwise gets a port that all the world may connect to."""
    port = int(options["port"])
    if port == -1 and not options.get("console"):
        port = 1234
    if port < 0:
        return None
    listener = socket.create_server(("0.0.0.0", port))
    emulation.log("INFO", f"Monitor available in telnet mode on port {port}")
    return listener


def main(arguments: list[str]) -> int:
    options = options_of(arguments)
    if options is None:
        return 0
    if options.get("version"):
        show_version()
        return 0
    own = use_folders()
    if "pid-file" in options:
        Path(options["pid-file"]).write_text(str(os.getpid()), encoding="ascii")
    time.sleep(float(os.environ.get("FAKE_RENODE_START", "0")))
    emulation.burn(float(os.environ.get("FAKE_RENODE_BURN", "0")))
    os.chdir(Path(__file__).parent)  # Renode goes to its own folder
    world = emulation.World()
    agent = Agent(world)
    of = monitor.Monitor(world, agent)
    emulation.log("INFO", "Loaded monitor commands from: scripts/monitor.py")
    port = open_port(options)
    commands = [f"include @{each}" for each in options["files"]]
    commands.append("; ".join(options["execute"]))
    if world.trouble[0] != "mute":
        for command in commands:
            of.parse(command, monitor.Nobody())
    if options.get("console") and not sys.stdin.read(1):
        agent.exit.set()
    if agent.is_running and not agent.exit.is_set() and options["port"] == "-2":
        dotnet.say("fake: the shell's thread has nothing to wait for, and spins", error=True)
        dotnet.end(dotnet.UNKNOWN)
    agent.exit.wait()
    dotnet.say(f"fake: time was run in {world.pieces} pieces")
    if port is not None:
        port.close()
    if not options.get("keep-temporary-files"):
        shutil.rmtree(own)
    return dotnet.Environment.code()


if __name__ == "__main__":
    dotnet.end(main(sys.argv[1:]))
