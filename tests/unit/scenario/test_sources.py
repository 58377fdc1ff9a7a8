"""References to code are looked up in its text; nothing is run."""

from __future__ import annotations

import pytest

from simcore.errors import ScenarioError
from simcore.scenario import loads


def problems(tmp_path, source, name="thing", key="model"):
    if source is not None:
        (tmp_path / "code.py").write_bytes(source if isinstance(source, bytes) else source.encode())
    text = f"simcore: 1\nduration: 1s\nnodes: {{a: {{{key}: 'code.py:{name}'}}}}\n"
    try:
        loads(text, name="s", base=tmp_path)
    except ScenarioError as error:
        return [f"{problem.message}|{problem.suggestion}" for problem in error.problems]
    return []


@pytest.mark.parametrize(
    "source",
    [
        "def thing(node): yield",
        "if True:\n    pass\nelse:\n    def thing(node): yield",
        "try:\n    import x\nexcept ImportError:\n    def thing(node): yield",
        "with open('x'):\n    def thing(node): yield",
        "from elsewhere import thing",
        "from elsewhere import other as thing",
        "from elsewhere import *",
        "import thing",
        "thing = make()",
        "a, (thing, b) = make()",
        "thing: object = make()",
        "def __getattr__(name): return None",
        b"# -*- coding: latin-1 -*-\n# \xe9\ndef thing(node): yield",
        "x = '\\d'\ndef thing(node): yield",
        "raise SystemExit\ndef thing(node): yield",
    ],
)
def test_found(tmp_path, source):
    assert problems(tmp_path, source) == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def thin(node): yield", "code.py has no function 'thing'|code.py:thin"),
        ("def outer():\n    def thing(node): yield", "code.py has no function 'thing'|None"),
        ("class thing: pass", "thing in code.py is a class, a function is needed|None"),
        (
            "async def thing(node): yield",
            "thing in code.py is async; simcore runs plain functions|None",
        ),
        ("thing: object", "code.py has no function 'thing'|None"),
        ("x = 1\ndef thing(:", "code.py is not valid Python: line 2: invalid syntax|None"),
        ("", "code.py has no function 'thing'|None"),
    ],
)
def test_not_found(tmp_path, source, message):
    assert problems(tmp_path, source) == [message]


@pytest.mark.parametrize(
    "source", [b"\0", b"\xff\xfe", "(" * 100_000, "x = " + "-" * 100_000 + "1"]
)
def test_what_is_no_python(tmp_path, source):
    (message,) = problems(tmp_path, source)
    assert message.startswith("code.py is not valid Python")


def test_a_class_for_a_service(tmp_path):
    assert problems(tmp_path, "class thing: pass", key="service") == []
    assert problems(tmp_path, "def thing(): pass", key="service") == [
        "thing in code.py is a function, a class is needed|None"
    ]


def test_no_file_and_no_reference(tmp_path):
    (tmp_path / "cdoe.py").touch()
    assert problems(tmp_path, None) == ["there is no such file: 'code.py'|cdoe.py"]
    (tmp_path / "code.py").mkdir()
    assert problems(tmp_path, None) == ["is a directory, not a file: 'code.py'|cdoe.py"]
