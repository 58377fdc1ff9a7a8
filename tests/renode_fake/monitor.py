"""The Monitor: the commands that the agent gives it, and those of small scripts of users.

A command that the agent gives and that is not in the table of members ends the process; one in a
user's script is answered as Renode answers it.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any, NamedTuple

from . import firmware, platform_file
from .dotnet import DotNet, touch, unknown
from .emulation import (
    STM32_UART,
    CortexM,
    Log,
    Machine,
    Other,
    RecoverableException,
    STM32_GPIOPort,
    World,
    log,
)
from .members import COMMANDS

_TOKENS = (
    ("comment", re.compile(r"#.*|:.*")),
    ("variable", re.compile(r"\$[0-9a-z_.]+", re.IGNORECASE)),
    ("string", re.compile(r"'[^'\\]*(?:\\.[^'\\]*)*'")),
    ("string", re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')),
    ("path", re.compile(r"@(?:(?!;)(?:\\ |\S))+")),
    ("number", re.compile(r"0x[0-9a-f]+|[+-]?\d+(?:\.\d*)?", re.IGNORECASE)),
    ("equals", re.compile(r"\??=")),
    ("split", re.compile(r";")),
    ("word", re.compile(r"[\w.?-]+")),
    ("", re.compile(r"\s+")),
)
"""As in Extensions/UserInterface/Tokenizer/Tokenizer.cs, of both releases."""


class Token(NamedTuple):
    kind: str
    original: str
    value: str


class CommandInteractionEater(DotNet):
    def __init__(self) -> None:
        self.errors: list[str] = []

    def GetError(self) -> str:
        return "".join(f"{line}\n" for line in self.errors)

    def error(self, text: str) -> None:
        self.errors.append(text)


class Nobody:
    """Who uses the Monitor when no port is open: what is said to him is lost."""

    def error(self, text: str) -> None:
        """Nothing comes of it."""


class Monitor(DotNet):
    def __init__(self, world: World, agent: Any) -> None:
        self.world, self.agent = world, agent
        self.user: Any = Nobody()
        self.machine: Machine | None = None
        self.variables: dict[str, Token] = {}
        self.depth = 0

    @property
    def Interaction(self) -> Any:
        return self.user

    @Interaction.setter
    def Interaction(self, user: Any) -> None:
        self.user = user

    def Parse(self, line: str, writer: Any) -> bool:
        return self.parse(line, writer)

    def parse(self, line: str, writer: Any) -> bool:
        """Whether all commands of a line were done."""
        tokens = self._tokens(line, writer)
        if tokens is None:
            return False
        commands: list[list[Token]] = [[]]
        for token in tokens:
            if token.kind == "split":
                commands.append([])
            elif token.kind not in ("", "comment"):
                commands[-1].append(token)
        for command in commands:
            try:
                if command and not self._execute(command, writer):
                    return False
            except RecoverableException as error:
                shown = " ".join(token.original for token in command)
                writer.error(f"There was an error executing command '{shown}'")
                writer.error(str(error).replace("\n", "\r\n"))
                return False
        return True

    def _tokens(self, line: str, writer: Any) -> list[Token] | None:
        found, at = [], 0
        while at < len(line):
            for kind, pattern in _TOKENS:
                if match := pattern.match(line, at):
                    found.append(Token(kind, match[0], _value(kind, match[0])))
                    at = match.end()
                    break
            else:
                for text in ("Could not tokenize here:", line, " " * at + "^"):
                    writer.error(text)
                return None
        return found

    def _execute(self, command: list[Token], writer: Any) -> bool:
        if command[0].kind == "variable" and command[1].kind == "equals":
            self._note(f"${command[0].value}=")
            if command[1].value == "=" or command[0].value not in self.variables:
                self.variables[command[0].value] = command[2]
            return True
        command = [self._expand(token) for token in command]
        words = " ".join(token.value for token in command[:2] if token.kind == "word")
        self._note(words)
        argument = command[-1].value
        if words in ("include", "i"):
            return self._include(argument, writer)
        if words == "mach create":
            self.machine = Machine(self.world, argument)
            self.world.machines.append(self.machine)
        elif words == "mach set":
            self.machine = self.world.machines[int(argument)]
        elif words == "emulation SetSeed":
            int(argument)  # one of more than 31 bits is cut, without a word
        elif words == "emulation SetGlobalAdvanceImmediately":
            self.world.immediate = argument == "true"
        elif words == "emulation SetGlobalQuantum":
            self.world.quantum = int(float(argument) * 10**9)
        elif words == "logLevel":
            Log.least = int(argument)
        elif words == "start":
            self.world.is_started = True
        elif words == "emulation RunFor":
            self.world.run_for(int(float(argument) * 10**9))
        elif words.startswith("using"):
            pass
        elif command[0].value in ("machine", "sysbus") and self.machine is None:
            writer.error(f"No such command or device: {command[0].value}")
            return False
        elif words == "machine LoadPlatformDescription":
            self._load(_text(argument))
        elif words == "machine LoadPlatformDescriptionFromString":
            self._load(argument)
        elif words == "sysbus LoadELF":
            self._load_elf(argument)
        else:
            writer.error(f"No such command or device: {command[0].value}")
            return False
        return True

    def _note(self, command: str) -> None:
        """Only what the agent says itself counts."""
        if self.depth == 0 and self.agent.is_running:
            if command not in COMMANDS:
                unknown(f"the command '{command}'")
            touch(command)

    def _expand(self, token: Token) -> Token:
        if token.kind != "variable":
            return token
        if token.value not in self.variables:
            raise RecoverableException(f"No such variable: ${token.value}")
        return self.variables[token.value]

    def _include(self, name: str, writer: Any) -> bool:
        log("INFO", f"Including script: {name}")
        file = _file(name)
        if name.endswith(".py"):
            self.agent.load(file, self)
            return True
        self.depth += 1
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
            return all(self.parse(line, self.user) for line in lines)
        finally:
            self.depth -= 1

    def _load(self, text: str) -> None:
        assert self.machine is not None
        world, parts = self.world, self.machine.parts
        for path, kind in platform_file.parts_of(text):
            if kind == "CPU.CortexM":
                parts[path] = CortexM(world)
            else:
                made = {"UART.STM32_UART": STM32_UART, "GPIOPort.STM32_GPIOPort": STM32_GPIOPort}
                parts[path] = made.get(kind, Other)(world, path.rpartition(".")[2])

    def _load_elf(self, name: str) -> None:
        assert self.machine is not None
        if not Path(name).is_file():
            raise RecoverableException("Parameters did not match the signature")
        data = Path(name).read_bytes()
        if data[:4] != b"\x7fELF":
            raise RecoverableException(
                "Error while loading ELF: Given file is not proper ELF file."
            )
        # One of 64 bits for another processor is loaded without a word, as by Renode.
        if data[4] == 1 and not struct.unpack_from("<H", data, 44)[0]:
            raise RecoverableException(f"ELF '{name}' has no loadable segments.")
        log("INFO", f"sysbus: Loading segments of {len(data)} bytes length.")
        hal = firmware.Hal(self.world, self.machine.parts)
        self.world.program = firmware.program_of(data)(hal)


def _value(kind: str, text: str) -> str:
    if kind == "string":
        return text[1:-1].replace("\\" + text[0], text[0])
    if kind == "path":
        return text.lstrip("@").replace("\\ ", " ")
    return text.lstrip("$") if kind == "variable" else text


def _text(name: str) -> str:
    """A platform description."""
    if not Path(name).is_file():
        raise RecoverableException(f"Could not find file '{name}'.")
    return Path(name).read_text(encoding="utf-8")


def _file(name: str) -> Path:
    """A script."""
    file = Path(name)
    if not file.is_file():
        raise RecoverableException(f"File does not exist: {name}")
    return file
