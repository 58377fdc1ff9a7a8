"""What a meter knows is made from the digits of the scenarios; it says what their classifier says."""

from __future__ import annotations

import ctypes
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
from firmware_builds import FIRMWARE, library
from support import ROOT

PICTURES = 128


def quickstart() -> ModuleType:
    found = importlib.util.spec_from_file_location(
        "quickstart_models", ROOT / "scenarios" / "quickstart_models.py"
    )
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_the_table_is_what_the_script_writes(tmp_path: Path) -> None:
    script = FIRMWARE / "app" / "make_digits.py"
    target = tmp_path / "digits.c"
    subprocess.run([sys.executable, script, target], check=True)
    assert target.read_bytes() == (FIRMWARE / "app" / "digits.c").read_bytes()


def test_it_sees_what_the_gateway_of_the_quickstart_sees(tmp_path: Path) -> None:
    meter = library(tmp_path, FIRMWARE / "app" / "classify.c", FIRMWARE / "app" / "digits.c")
    models = quickstart()
    classifier = models.Classifier()
    classifier.start(None)
    images, labels = (part[models.TRAINING :] for part in models.load_digits())
    held = (ctypes.c_uint8 * (PICTURES * 64)).in_dll(meter, "digit_pictures")
    assert bytes(held) == images[:PICTURES].tobytes()
    said = [meter.digit_classify(image.tobytes()) for image in images]  # all 899, not only its own
    assert said == [classifier.classify(image.tobytes()) for image in images]
    assert int(np.sum(said[:PICTURES] == labels[:PICTURES])) == 116  # 90.6 %
    assert int(np.sum(said == labels)) == 796  # 88.5 %, as in test_digits.py
