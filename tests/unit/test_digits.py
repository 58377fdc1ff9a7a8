"""The shipped digits and the quickstart's classifier, against figures measured once."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SCENARIOS = Path(__file__).parents[2] / "scenarios"
DIGITS = SCENARIOS / "data" / "digits.bin"


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture(scope="module")
def models() -> ModuleType:
    return module(SCENARIOS / "quickstart_models.py")


@pytest.fixture(scope="module")
def make_digits() -> ModuleType:
    return module(SCENARIOS / "data" / "make_digits.py")


def test_the_data_are_what_their_readme_says() -> None:
    readme = (SCENARIOS / "data" / "README.md").read_text(encoding="utf-8")
    assert hashlib.sha256(DIGITS.read_bytes()).hexdigest() in readme
    assert "CC BY 4.0" in readme


def test_halves_and_values(models: ModuleType) -> None:
    images, labels = models.load_digits()
    assert images.shape == (1797, 64) and images.max() == 16
    assert (models.TRAINING, len(images) - models.TRAINING) == (898, 899)
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.bincount(labels[:898]).tolist() == [95, 96, 82, 99, 94, 90, 82, 91, 73, 96]


def test_accuracy_over_the_whole_test_half(models: ModuleType) -> None:
    classifier = models.Classifier()
    classifier.start(None)
    images, labels = (part[models.TRAINING :] for part in models.load_digits())
    answers = [classifier.classify(image.tobytes()) for image in images]
    assert sum(a == b for a, b in zip(answers, labels.tolist(), strict=True)) == 796  # 88.5 %


def test_the_classifier_never_sees_the_test_half(
    models: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = models.Classifier()
    before.start(None)
    spoilt = tmp_path / "digits.bin"
    records = DIGITS.read_bytes()
    spoilt.write_bytes(records[: 898 * 65] + bytes(899 * 65))
    monkeypatch.setattr(models, "DIGITS", spoilt)
    after = models.Classifier()
    after.start(None)
    assert np.array_equal(before.centroids, after.centroids)


def test_rebuilding_gives_the_same_bytes(
    make_digits: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """From a CSV in another order than ours; the shipped half of the way back is the inverse."""
    records = [DIGITS.read_bytes()[at : at + 65] for at in range(0, 1797 * 65, 65)]
    # Where the split put each line of the original: undo it, write CSV, and do it again.
    places = make_digits.shuffled([number.to_bytes(2, "big") for number in range(1797)])
    original = [b""] * 1797
    for record, place in zip(records, places, strict=True):
        original[int.from_bytes(place, "big")] = record
    csv = "".join(",".join(str(value) for value in row) + "\n" for row in original)
    source, target = tmp_path / "digits.csv.gz", tmp_path / "digits.bin"
    source.write_bytes(gzip.compress(csv.encode()))
    monkeypatch.setattr(sys, "argv", ["make_digits.py", str(source), str(target)])
    make_digits.main()
    assert target.read_bytes() == DIGITS.read_bytes()


@pytest.mark.parametrize("csv", ["1,2,3\n", ",".join(["17"] * 65) + "\n", ",".join(["1"] * 65)])
def test_other_data_are_refused(make_digits: ModuleType, csv: str) -> None:
    with pytest.raises(ValueError, match="not the digits data"):
        make_digits.records(csv)
