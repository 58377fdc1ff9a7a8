"""The tiny model of a device: what the firmware computes is what the scenarios' model of it computes.

the same images --> firmware/app/tiny_digits.c, on this machine --> labels, confidences
                --> the same, on a Cortex-M4 in QEMU            --> the same
                --> scenarios/placement_models.py               --> the same
"""

from __future__ import annotations

import ctypes
import random
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import qemu_machine
from firmware_builds import CROSS, FIRMWARE, library, make
from placed import models, unseen
from support import PATIENCE, require

SOURCES = [FIRMWARE / "app" / name for name in ("tiny_digits.c", "tiny_weights.c")]
FLASH = 4096
DATA = models.DIGITS.read_bytes()
IMAGES = [DATA[at : at + 64] for at in range(0, len(DATA), 65)]  # both halves


class Answer(ctypes.Structure):
    _fields_ = (("label", ctypes.c_uint8), ("confidence", ctypes.c_uint16))


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the firmware says of an image, on this machine."""
    sanitized = ("-fsanitize=undefined", "-fno-sanitize-recover=all", "-I", str(FIRMWARE / "app"))
    built = library(tmp_path_factory.mktemp("tiny"), *SOURCES, options=sanitized)
    built.tiny_classify.restype = Answer

    def say(image: bytes) -> tuple[int, int]:
        answer = built.tiny_classify(image)
        return answer.label, answer.confidence

    return say


def test_firmware_and_scenarios_say_the_same_of_all_images(said: Any) -> None:
    tiny = models.Tiny()
    assert len(IMAGES) == 1797
    assert [said(image) for image in IMAGES] == [tiny.classify(image) for image in IMAGES]


def test_they_say_the_same_of_what_is_no_digit(said: Any) -> None:
    tiny, chance = models.Tiny(), random.Random(1)
    images = [bytes(64), bytes([16]) * 64]
    for _ in range(2000):
        grey = chance.choice([2, 17])
        images.append(bytes(chance.randrange(grey) * (32 // grey) for _ in range(64)))
    answers = [said(image) for image in images]
    assert answers == [tiny.classify(image) for image in images]
    assert all(0 <= label <= 9 and 100 <= sure <= 1000 for label, sure in answers)
    assert len({label for label, _ in answers}) >= 8, "not always the same"


def test_its_accuracy() -> None:
    tiny = models.Tiny()
    images, labels = unseen()
    right = sum(
        tiny.classify(image)[0] == label for image, label in zip(images, labels, strict=True)
    )
    assert (right, len(images)) == (776, 899)


def examined(folder: Path, images: list[bytes], code: str) -> list[tuple[int, str]]:
    """Lines that an application says on a Cortex-M4, each with its time (ns), over these images.

    Args:
        folder: an empty one.
        images: in the table `images`, `COUNT` of them.
        code: of `app_main`, which then sleeps; `line` is there to be sent.
    """
    require(CROSS)
    qemu_machine.program()
    table = ",\n".join("{" + ",".join(map(str, image)) + "}" for image in images)
    (folder / "examiner.c").write_text(
        f"""
#include "hal.h"
#include "line.h"
#include "tiny_digits.h"

#define COUNT {len(images)}u

static const uint8_t images[COUNT][64] = {{{table}}};
static struct line line;

void app_main(void) {{
    {code}
    for (;;) hal_sleep_until(UINT64_MAX);
}}
""",
        encoding="ascii",
    )
    sources = " ".join(map(str, (folder / "examiner.c", *SOURCES)))
    make("stm32f4", folder, "APP=examiner", f"APP_SOURCES={sources}")
    (folder / "plugin").mkdir()
    module, elf = qemu_machine.plugin(folder / "plugin"), folder / "stm32f4" / "examiner.elf"
    with qemu_machine.machine(module, folder, elf=elf) as examiner:
        examiner.run(range(10**8, 2 * 10**9, 10**8))
    ends = [at for _, at, byte in examiner.outputs if byte == ord("\n")]
    return list(zip(ends, examiner.said().decode("ascii").splitlines(), strict=True))


def test_a_cortex_m4_says_the_same(tmp_path: Path) -> None:
    """Of every image, with an application that holds them all and writes an answer for each."""
    said = examined(
        tmp_path,
        IMAGES,
        """
    for (unsigned i = 0; i < COUNT; i++) {
        struct tiny_answer answer = tiny_classify(images[i]);
        line_clear(&line);
        line_number(&line, answer.label);
        line_text(&line, " ");
        line_number(&line, answer.confidence);
        line_send(&line, 0);
    }""",
    )
    tiny = models.Tiny()
    assert [text for _, text in said] == ["{} {}".format(*tiny.classify(each)) for each in IMAGES]


def test_what_an_image_costs(tmp_path: Path) -> None:
    """In instructions, 8 ns each: from a byte that is sent to the next, in between many images."""
    [(begin, _), (end, total)] = examined(
        tmp_path,
        IMAGES[:100],
        """
    uint32_t sum = 0;
    hal_uart_write(0, "\\n", 1);
    for (unsigned i = 0; i < COUNT; i++) sum += tiny_classify(images[i]).confidence;
    line_number(&line, sum);
    hal_uart_write(0, line.bytes, line.count);
    hal_uart_write(0, "\\n", 1);""",
    )
    tiny = models.Tiny()
    assert int(total) == sum(tiny.classify(image)[1] for image in IMAGES[:100])
    readme = (models.HERE / "models" / "README.md").read_text(encoding="utf-8")
    stated = re.search(r"some ([\d,]+)\s+instructions", readme)
    assert stated is not None
    assert abs((end - begin) / 800 - int(stated[1].replace(",", ""))) < 200


def test_it_takes_little_flash(tmp_path: Path) -> None:
    require(CROSS)
    sizes = []
    for source in SOURCES:
        made = tmp_path / f"{source.stem}.o"
        subprocess.run(
            [CROSS, "-std=c11", "-Os", "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=soft",
             "-ffreestanding", "-c", source, "-o", made],
            check=True, timeout=PATIENCE,
        )  # fmt: skip
        said = subprocess.check_output([require("arm-none-eabi-size"), made], text=True)
        text, data, bss = map(int, said.splitlines()[1].split()[:3])
        assert (data, bss) == (0, 0), "all of it stays in flash"
        sizes.append(text)
    assert sum(sizes) <= FLASH
    code, weights = sizes
    readme = (models.HERE / "models" / "README.md").read_text(encoding="utf-8")
    stated = re.search(r"(\d+) bytes of\s+code and (\d+) of tables", readme)
    assert stated is not None
    assert abs(int(stated[1]) - code) <= code // 4, "another compiler may need a little more"
    assert int(stated[2]) == weights


def test_its_sums_cannot_overflow() -> None:
    """Not with any image of grey levels 0 to 16."""
    tiny = models.Tiny()
    hidden = np.abs(tiny.hidden).sum(1) * 64 + np.abs(tiny.hidden_bias)
    scores = np.abs(tiny.scores).sum(1) * 255 + np.abs(tiny.scores_bias)
    assert max(hidden.max(), scores.max()) < 2**30
    assert tiny.powers[0] == 0xFFFF and (np.diff(tiny.powers) < 0).all()
    assert tiny.powers.sum() < 2**32
