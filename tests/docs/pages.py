"""Documentation pages as programs: what a reader would type runs, and prints what is shown.

A page is a list of fenced blocks. What a block is for follows from its language and from an
HTML comment on the line before it, which a reader of the rendered page does not see:

    ```console                      commands behind `$ `, each with what it prints
    ```python                       runs; the blocks of a page share their names
    ```yaml                         a scenario (it has the key `simcore`), or a part of one
    ```toml                         a pyproject.toml: its entry points must exist
    <!-- output -->  ```text        what the Python block before it prints
    <!-- figure -->  ```text        a drawing or a formula: nothing to run
    <!-- file: NAME -->             of Python, YAML or C: written to this file for what follows
    <!-- invalid -->                of YAML: must be refused
    <!-- file: NAME, invalid -->    both
    <!-- with docker -->            of console: runs where a Docker Engine and an MQTT broker are,
                                    in tests/docker/test_pages.py; $BROKER is the broker's address

In what is expected, `...` stands for any text within a line, and a line of `...` for any
number of lines. A command that fails must be followed by `$ echo $?` in its block.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import io
import os
import re
import shutil
import subprocess
import sys
import tomllib
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from support import PATIENCE, without_progress

import simcore

ROOT = Path(__file__).parents[2]
GROUPS = ("simcore.backends", "simcore.netmodels", "simcore.extensions", "simcore.services")
ROLES = {
    "console": {"run", "with docker"},
    "python": {"run", "file"},
    "yaml": {"check", "file", "invalid", "file, invalid"},
    "toml": {"check"},
    "c": {"file"},
    "text": {"output", "figure"},
}
"""What a block of each language may be for."""

MODELS = "def meter(node):\n    yield\n\n\ndef truth(index):\n    return 0\n"
BASE = """
simcore: 1
duration: 60s
nodes:
  meter: {count: 20, model: models.py:meter}
  gateway: {tier: edge, service: echo}
  cloud: {tier: cloud, service: echo}
  broker: {tier: edge, service: mqtt_broker}
network:
  model: latency
  links:
    - {between: [meter, gateway], delay: 10ms, rate: 250kbit/s}
    - {between: [gateway, cloud], delay: 45ms, rate: 20Mbit/s}
    - {between: [gateway, broker], delay: 1ms}
"""
"""What a part of a scenario is put into before it is checked."""
INFERRING = """
nodes:
  dispatcher: {tier: edge, service: placement}
placement:
  {policy: device, devices: meter, dispatcher: dispatcher, deadline: 1s, truth: models.py:truth}
energy: {meter: {idle: 1mW}}
"""
"""What it is put into as well if it expects something of inferences, and has none."""

_FENCE = re.compile(r"^(\s*)(```+|~~~+)\s*([A-Za-z]*)\s*$")
_COMMENT = re.compile(
    r"^\s*<!-- (output|figure|invalid|with docker|file: (\S+?)(?:, invalid)?) -->\s*$"
)


class PageError(Exception):
    """A page that cannot be read as a program."""


@dataclass
class Command:
    """One command of a console block, with the lines that follow it."""

    line: int
    text: str
    expected: list[str] = field(default_factory=list)


@dataclass
class Block:
    """A fenced block.

    Attributes:
        line: of its first line of content, from 1.
        role: see `ROLES`.
        file: the name it is written to.
    """

    page: Path
    line: int
    language: str
    role: str
    file: str | None
    lines: list[str]

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def commands(self) -> list[Command]:
        """The commands of a console block."""
        found: list[Command] = []
        for number, line in enumerate(self.lines, self.line):
            if line.startswith("$ "):
                found.append(Command(number, line[2:]))
            elif found and found[-1].text.endswith("\\") and line.startswith("> "):
                found[-1].text += "\n" + line[2:]
            elif found:
                found[-1].expected.append(line)
            else:
                raise PageError(f"{self.place}: a console block begins with a command: `$ ...`")
        return found


def pages() -> list[Path]:
    """The README and everything in docs, sorted."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page.

    Raises:
        PageError: a block whose language or purpose is not known.
    """
    found: list[Block] = []
    lines = page.read_text(encoding="utf-8").splitlines()
    comment, number = "", 0
    while number < len(lines):
        line = lines[number]
        number += 1
        fence = _FENCE.match(line)
        if fence is None:
            if line.lstrip().startswith(("```", "~~~")):
                raise PageError(f"{page.name}:{number}: a fence with more than a language: {line}")
            if line.strip():
                comment = line
            continue
        indent, mark, language = fence.groups()
        content: list[str] = []
        while number < len(lines) and lines[number].strip() != mark:
            content.append(lines[number])
            number += 1
        if number == len(lines):
            raise PageError(f"{page.name}:{number}: a block that does not end")
        dedented = [each[len(indent) :] if each.startswith(indent) else each for each in content]
        found.append(_block(page, number - len(content) + 1, language, comment, dedented))
        number += 1
        comment = ""
    return found


def _block(page: Path, line: int, language: str, comment: str, lines: list[str]) -> Block:
    match = _COMMENT.match(comment)
    role = match.group(1) if match else {"yaml": "check", "toml": "check"}.get(language, "run")
    file = match.group(2) if match else None
    if file is not None:
        role = role.replace(f": {file}", "")
    if role not in ROLES.get(language, ()):
        what = f"{language or 'no language'} as {role}"
        raise PageError(f"{page.name}:{line}: nobody knows what to do with {what}")
    return Block(page, line, language, role, file, lines)


def matches(expected: list[str], got: list[str]) -> bool:
    """Whether lines are as expected; `...` stands for anything in a line, or for lines."""
    pattern = "".join(
        r"(?:.*\n)*?"
        if line.strip() == "..."
        else r"[^\n]*".join(re.escape(part) for part in line.rstrip().split("...")) + r"\n"
        for line in expected
    )
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in got)) is not None


@dataclass
class Step:
    """Something that was run, and what came of it.

    Attributes:
        block: it belongs to.
        line: of the page.
        what: command or block, for people.
        got: lines that it printed.
        problem: what is wrong, None if nothing is.
    """

    block: Block
    line: int
    what: str
    expected: list[str]
    got: list[str]
    problem: str | None

    def __str__(self) -> str:
        page = self.block.page.relative_to(ROOT)
        shown = [f"{page}:{self.line}: {self.problem}", f"  {self.what}"]
        if self.expected:
            shown.append("what is expected (-) and what came (+):")
            shown += difflib.unified_diff(self.expected, self.got, lineterm="", n=2)
        else:
            shown += [f"    {line}" for line in self.got]
        return "\n".join(shown)


class Reader:
    """Somebody who does what a page says, in a folder of their own.

    Args:
        folder: empty; gets the shipped scenarios, the firmware, and the scripts.
        installs: commands that are not run here.
        docker: whether blocks run that need Docker.
    """

    def __init__(self, folder: Path, installs: tuple[str, ...], *, docker: bool = False) -> None:
        self.folder = folder
        self.installs = installs
        self.docker = docker
        self.steps: list[Step] = []
        self._names: dict[str, Any] = {"__name__": "__main__"}
        self._printed: list[str] | None = None
        self._code = 0
        made = shutil.ignore_patterns("__pycache__", "build")
        for name in ("scenarios", "firmware", "scripts"):
            shutil.copytree(ROOT / name, folder / name, ignore=made)
        for name in ("models.py", "my_models.py"):  # parts of scenarios and the reference name them
            (folder / name).write_text(MODELS, encoding="utf-8")
        self._bin = folder / ".bin"
        self._bin.mkdir()
        python = self._bin / "python"
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
        python.chmod(0o755)

    def read(self, page: Path) -> list[Step]:
        """Do everything that a page says; returns the steps."""
        with self._at_home():
            for block in blocks(page):
                self._do(block)
        return self.steps

    @contextlib.contextmanager
    def _at_home(self) -> Iterator[None]:
        before, modules = Path.cwd(), set(sys.modules)
        os.chdir(self.folder)
        sys.path.insert(0, str(self.folder))
        try:
            yield
        finally:
            os.chdir(before)
            sys.path.remove(str(self.folder))
            for name in set(sys.modules) - modules:
                file = getattr(sys.modules[name], "__file__", None)
                if file is not None and Path(file).is_relative_to(self.folder):
                    del sys.modules[name]

    def _do(self, block: Block) -> None:
        if block.language == "console":
            if block.role == "run" or self.docker:
                self._console(block)
            return
        if block.file is not None:
            path = self.folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        if block.language == "yaml":
            self._yaml(block)
        elif block.language == "toml":
            self._toml(block)
        elif block.language == "python":
            self._python(block)
        elif block.role == "output":
            printed, self._printed = self._printed, None
            fits = printed is not None and matches(block.lines, printed)
            problem = None if fits else "not what was printed"
            self._step(block, "the Python block before this one", printed or [], problem)

    def _step(self, block: Block, what: str, got: list[str], problem: str | None) -> None:
        expected = block.lines if block.role == "output" else []
        self.steps.append(Step(block, block.line, what, expected, got, problem))

    # -- console

    def _console(self, block: Block) -> None:
        commands = block.commands()
        for index, command in enumerate(commands):
            expected, got, problem = _stripped(command.expected), [], None
            if command.text in self.installs:
                problem = "an installation shows no output" if expected else None
            else:
                got, code = self._shell(command.text)
                following = commands[index + 1].text if index + 1 < len(commands) else ""
                if not matches(expected, got):
                    problem = "prints something else"
                elif code and following != "echo $?":
                    problem = f"ends with exit code {code}"
            step = Step(block, command.line, f"$ {command.text}", expected, got, problem)
            self.steps.append(step)

    def _shell(self, command: str) -> tuple[list[str], int]:
        environment = {
            **os.environ,
            "PATH": f"{self._bin}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "80",
            "LC_ALL": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "TZ": "UTC",
        }
        done = subprocess.run(
            ["sh", "-c", f"(exit {self._code})\n{command}\n"],  # so that `echo $?` tells
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        self._code = done.returncode
        return _stripped(without_progress(done.stdout).splitlines()), done.returncode

    # -- the other languages

    def _python(self, block: Block) -> None:
        padding = "\n" * (block.line - 1)  # so that a traceback names the line of the page
        printed, problem = io.StringIO(), None
        try:
            code = compile(padding + block.text, str(block.page), "exec")
            if block.role == "run":
                with contextlib.redirect_stdout(printed):
                    exec(code, self._names)
                self._printed = _stripped(printed.getvalue().splitlines())
        except Exception:  # noqa: BLE001 - whatever it is, the page is wrong
            problem = "raises"
            printed.write(traceback.format_exc())
        got = _stripped(printed.getvalue().splitlines()) if problem else []
        self._step(block, "Python block", got, problem)

    def _yaml(self, block: Block) -> None:
        problem, got = None, ""
        try:
            scenario = yaml.safe_load(block.text)
            whole = isinstance(scenario, dict) and "simcore" in scenario
            merged = scenario if whole else _merge(_around(scenario), scenario)
            text = block.text if whole else yaml.safe_dump(merged, sort_keys=False)
            base = (self.folder / block.file).parent if block.file else self.folder
            simcore.loads(text, name=block.place, base=base)
        except (simcore.ScenarioError, yaml.YAMLError) as error:
            got = str(error)
        if bool(got) != ("invalid" in block.role):
            problem = "is refused" if got else "is accepted, and should not be"
        self._step(block, "YAML block", got.splitlines(), problem)

    def _toml(self, block: Block) -> None:
        problem, groups = None, tomllib.loads(block.text)["project"]["entry-points"]
        try:
            for group, entries in groups.items():
                if group not in GROUPS:
                    raise PageError(f"{group} is none of {', '.join(GROUPS)}")
                for target in entries.values():
                    module, _, name = target.partition(":")
                    getattr(importlib.import_module(module), name)
        except Exception as error:  # noqa: BLE001 - as above
            problem = f"{type(error).__name__}: {error}"
        self._step(block, "TOML block", [], problem)


def _around(part: Any) -> Any:
    """What a part of a scenario is put into."""
    around = yaml.safe_load(BASE)
    expected = part.get("expect", "") if isinstance(part, dict) else ""
    if "inference" in str(expected) and "placement" not in part:
        around = _merge(around, yaml.safe_load(INFERRING))
    return around


def _merge(base: Any, part: Any) -> Any:
    if isinstance(base, dict) and isinstance(part, dict):
        return base | {key: _merge(base.get(key), value) for key, value in part.items()}
    return part


def _stripped(lines: list[str]) -> list[str]:
    """Without white space at the ends of lines, nor empty lines at either end."""
    return "\n".join(line.rstrip() for line in lines).strip("\n").split("\n") if lines else []
