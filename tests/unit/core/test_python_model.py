"""What `python_model` refuses before anything starts."""

import sys

import pytest

from simcore import loads
from simcore.errors import UsageError
from simcore.federation import Federation
from simcore.protocol.loading import load_object


@pytest.mark.parametrize("body", ["pass", "def on_mesage(self, ctx, msg): ..."])
def test_a_class_without_handlers_is_no_service(tmp_path, body):
    (tmp_path / "mine.py").write_text(f"class Silent:\n    {body}\n")
    text = "simcore: 1\nduration: 1s\nnodes: {a: {service: 'mine.py:Silent'}}\n"
    with pytest.raises(UsageError, match="none of the methods of a service: start, on_message"):
        Federation(loads(text, base=tmp_path))


def test_an_installed_package_is_nobodys_neighbour(tmp_path, monkeypatch):
    """Numpy, for one, cannot be imported twice."""
    packages = tmp_path / ".venv" / "lib"
    packages.mkdir(parents=True)
    (packages / "imported_once.py").write_text("import sys\nsys.times_imported += 1\n")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    monkeypatch.setattr(sys, "times_imported", 0, raising=False)
    monkeypatch.syspath_prepend(packages)
    for folder in (".", "models"):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "m.py").write_text("import imported_once\n\ndef model(node): ...\n")
        load_object("m.py:model", tmp_path / folder)
    assert sys.times_imported == 1
    monkeypatch.delitem(sys.modules, "imported_once")


def test_models_of_two_folders_have_neighbours_of_their_own(tmp_path):
    found = []
    for folder, value in (("one", 1), ("two", 2)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "neighbour_of_a_model.py").write_text(f"VALUE = {value}\n")
        (tmp_path / folder / "mine.py").write_text(
            "import neighbour_of_a_model as neighbour\n\n"
            "def model(node):\n    node.record('value', neighbour.VALUE)\n    yield node.sleep(1)\n"
        )
        text = "simcore: 1\nduration: 1s\nnodes: {a: {model: 'mine.py:model'}}\n"
        with Federation(loads(text, base=tmp_path / folder)) as federation:
            federation.recorder.measure = lambda *given: found.append(given[-1])
            federation.env.run(until=10)
    assert found == [1, 2]
