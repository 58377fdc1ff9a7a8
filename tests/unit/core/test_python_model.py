"""What `python_model` refuses before anything starts."""

import pytest

from simcore import loads
from simcore.errors import UsageError
from simcore.federation import Federation


@pytest.mark.parametrize("body", ["pass", "def on_mesage(self, ctx, msg): ..."])
def test_a_class_without_handlers_is_no_service(tmp_path, body):
    (tmp_path / "mine.py").write_text(f"class Silent:\n    {body}\n")
    text = "simcore: 1\nduration: 1s\nnodes: {a: {service: 'mine.py:Silent'}}\n"
    with pytest.raises(UsageError, match="none of the methods of a service: start, on_message"):
        Federation(loads(text, base=tmp_path))


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
