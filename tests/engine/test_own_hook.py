"""The hook in docs/training.md, as a user would write it: outside the package."""

import re
import sys
from pathlib import Path

import pytest

from sightline.config.hooks import Hooks
from sightline.engine.hooks.base import open_hooks
from sightline.errors import ConfigurationError, StepError
from tests.engine.training import run
from tests.squares import TINY_TRAIN

PAGE = Path(__file__).parents[2] / "docs" / "training.md"


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder on the path of modules."""
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for path in folder.glob("*.py"):
        sys.modules.pop(path.stem, None)


def with_hook(name, **arguments):
    return TINY_TRAIN.model_copy(update={"hooks": Hooks.model_validate({name: arguments})})


def test_the_hook_of_the_page_works_and_survives_an_interruption(own, tmp_path):
    (code,) = re.findall(r"```python\n# large_losses.py\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 18
    (own / "large_losses.py").write_text(code)
    settings = with_hook("large_losses:LargeLosses", factor=0.5).model_copy(update={"log_every": 1})
    state = run(tmp_path, settings)
    lines = (tmp_path / "large_losses.csv").read_text().splitlines()
    assert [int(line.split(",")[0]) for line in lines] == [2, 3, 4, 5, 6]
    logged = {entry["iteration"]: entry["loss"] for entry in state.history}
    assert all(float(line.split(",")[1]) == pytest.approx(logged[int(line[0])], abs=1e-3) for line in lines)
    assert all(0 < int(image) <= 5 for line in lines for image in line.split(",")[2].split())


def test_a_hook_that_fails_is_named_with_moment_and_iteration(own, tmp_path):
    (own / "broken.py").write_text(
        "from sightline.engine.hooks.base import Hook\n\n\n"
        "class Broken(Hook):\n    def after_step(self, training):\n        {}[training.iteration]\n"
    )
    with pytest.raises(StepError, match=r"broken:Broken failed in after_step at iteration 1 \(KeyError: 1\)"):
        run(tmp_path, with_hook("broken:Broken"))


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        ("class Given:\n    pass\n", {}),
        ("from sightline.engine.hooks.base import Hook\nclass Given(Hook):\n    pass\n", {"every": 3}),
        ("class Other:\n    pass\n", {}),
        ("import no_such_module\n", {}),
    ],
)
def test_a_class_that_is_no_hook_is_refused_before_training(own, code, arguments):
    (own / "given.py").write_text(code)
    with pytest.raises(ConfigurationError, match="given:Given"):
        open_hooks(Hooks.model_validate({"given:Given": arguments}))


@pytest.mark.parametrize("name", ["emma", "a.b", "a:b:c", ":A"])
def test_an_unknown_name_is_refused(name):
    with pytest.raises(ValueError, match="unknown hook"):
        Hooks.model_validate({name: {}})
