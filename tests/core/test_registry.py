"""Registries: named parts that are listed without PyTorch and extended by users."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import Field

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.registry import PartConfig, Registry


class PlainConfig(PartConfig):
    """A plain part.

    More words.
    """

    name: str = "plain"
    width: int = Field(default=3, ge=1)


class Plain:
    def __init__(self, config: PlainConfig, extra: str = "") -> None:
        self.config, self.extra = config, extra


@pytest.fixture
def parts() -> Registry:
    return Registry("part", {PlainConfig: f"{__name__}:Plain"})


def _fresh(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("module", "table", "expected"),
    [
        ("omnifuse.model", "FUSIONS", {"concat", "weighted_sum", "product", "joint"}),
        ("omnifuse.model", "ENCODERS", {"cnn"}),
        ("omnifuse.model", "HEADS", {"category", "number"}),
        ("omnifuse.data.modalities", "MODALITIES", {"text", "image", "category", "number"}),
    ],
)
def test_names_of_a_table_are_listed_without_loading_torch(module: str, table: str, expected: set[str]):
    out = _fresh(f"import sys\nfrom {module} import {table}\nprint(*{table})\nprint('torch' in sys.modules)")
    names, torch_is_loaded = out.strip().splitlines()
    assert expected <= set(names.split())
    assert torch_is_loaded == "False"


def test_options_are_validated_without_loading_torch():
    out = _fresh("import sys\nfrom omnifuse.model import FUSIONS\nprint(FUSIONS.parse('product').project, 'torch' in sys.modules)")
    assert out.split() == ["True", "False"]


def test_importing_omnifuse_loads_no_torch_and_lists_its_names():
    out = _fresh("import sys, omnifuse\nprint('fit' in dir(omnifuse), 'torch' in sys.modules)")
    assert out.split() == ["True", "False"]


def test_every_registered_part_can_be_imported():
    from omnifuse.data.modalities import MODALITIES
    from omnifuse.model import ENCODERS, FUSIONS, HEADS

    for table in (ENCODERS, FUSIONS, HEADS, MODALITIES):
        for name, entry in table.items():
            assert isinstance(entry.load(), type), name
            assert entry.summary, f"{name} has no summary"


def test_an_unknown_name_offers_the_nearest(parts: Registry):
    with pytest.raises(OmnifuseError, match='unknown part "plian"; did you mean "plain"'):
        parts["plian"]
    with pytest.raises(KeyError):
        parts["plian"]
    with pytest.raises(OmnifuseError, match=r"^model.part: unknown part"):
        parts.parse("plian", "model.part")


def test_a_name_that_resembles_nothing_lists_what_is_known(parts: Registry):
    with pytest.raises(OmnifuseError, match="known: plain"):
        parts["zzzzzz"]


def test_a_registry_is_a_mapping(parts: Registry):
    assert list(parts) == ["plain"]
    assert len(parts) == 1
    assert "plain" in parts
    assert "other" not in parts
    assert parts["plain"].summary == "A plain part."


def test_a_part_of_ones_own_is_registered_and_built(parts: Registry):
    class MineConfig(PartConfig):
        name: str = "mine"
        height: int = 2

    @parts.register(MineConfig)
    class Mine:
        def __init__(self, config: MineConfig, *, room: int) -> None:
            self.area = config.height * room

    assert list(parts) == ["plain", "mine"]
    assert parts.build(parts.parse({"name": "mine", "height": 5}), room=3).area == 15
    assert parts["mine"].load() is Mine


def test_a_taken_name_is_refused(parts: Registry):
    class OtherConfig(PartConfig):
        name: str = "plain"

    with pytest.raises(OmnifuseError, match='part "plain" is already registered'):
        parts.register(OtherConfig)(type("Other", (), {}))
    assert parts["plain"].config is PlainConfig


@pytest.mark.parametrize("value", ["plain", {"name": "plain"}, PlainConfig()])
def test_a_part_is_named_in_short_or_at_length(parts: Registry, value: object):
    built = parts.build(parts.parse(value), "more")
    assert isinstance(built, Plain)
    assert (built.config.width, built.extra) == (3, "more")


def test_a_default_part_takes_options_without_a_name(parts: Registry):
    assert parts.parse({"width": 7}, default="plain") == PlainConfig(width=7)


@pytest.mark.parametrize("value", [3, None, ["plain"], {}, {"width": 2}, {"name": 3}])
def test_a_choice_without_a_name_is_refused(parts: Registry, value: object):
    with pytest.raises(OmnifuseError, match=r"model.part: expected the name of a part"):
        parts.parse(value, "model.part")


def test_faults_in_options_name_their_place(parts: Registry):
    with pytest.raises(OmnifuseError, match=r"^model.part.width: .*greater than or equal to 1 \(got 0\)"):
        parts.parse({"name": "plain", "width": 0}, "model.part")
    with pytest.raises(OmnifuseError, match=r'model.part: unknown option "widht"; did you mean "width"'):
        parts.parse({"name": "plain", "widht": 4}, "model.part")
