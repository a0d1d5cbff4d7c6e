"""A pipeline on disk: the same after loading, and one clear line for every damage."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import omnifuse as of
from omnifuse.core.errors import OmnifuseError
from omnifuse.pipeline.pipeline import Pipeline
from tests.conftest import colour_rows
from tests.pipeline.conftest import COLUMNS, Trained


def test_save_and_load_give_bit_equal_answers(trained: Trained, tmp_path: Path) -> None:
    trained.pipeline.save(tmp_path / "saved")
    reference = trained.pipeline.predict(trained.rows, root=trained.folder, probabilities=True)
    for folder in (tmp_path / "saved", str(tmp_path / "saved"), trained.run):
        loaded = Pipeline.load(folder)
        assert loaded.predict(trained.rows, root=trained.folder, probabilities=True) == reference
    for name, tensor in Pipeline.load(tmp_path / "saved").model.state_dict().items():
        assert torch.equal(tensor, trained.pipeline.model.state_dict()[name]), name


def test_a_saved_pipeline_is_all_there_is_to_it(trained: Trained, tmp_path: Path) -> None:
    trained.pipeline.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "config.json", "model.safetensors", "processors.json"]
    loaded = Pipeline.load(tmp_path)
    assert loaded.schema.dump() == trained.pipeline.schema.dump()
    assert not loaded.model.training
    assert loaded.device == torch.device("cpu")


def test_saving_twice_writes_the_same_bytes(trained: Trained, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        trained.pipeline.save(tmp_path / folder)
    Pipeline.load(tmp_path / "one").save(tmp_path / "three")
    for path in (tmp_path / "one").iterdir():
        for other in ("two", "three"):
            assert path.read_bytes() == (tmp_path / other / path.name).read_bytes(), (other, path.name)


def test_nothing_in_a_run_is_pickled(trained: Trained) -> None:
    kinds = {path.suffix for path in trained.run.rglob("*") if path.is_file() and "dataset" not in path.parts}
    assert kinds <= {".json", ".jsonl", ".safetensors", ".md"}
    for path in trained.run.rglob("*.safetensors"):
        head = path.read_bytes()[:9]
        assert head[:2] != b"PK" and head[:1] != b"\x80" and head[8:9] == b"{", path
    for path in trained.run.rglob("*.json"):
        json.loads(path.read_text(encoding="utf-8"))


def test_loading_never_unpickles(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something was unpickled")

    import pickle

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    monkeypatch.setattr(torch, "load", refuse)
    assert Pipeline.load(trained.run).predict(trained.rows[:2], root=trained.folder)


def test_a_pickle_in_place_of_the_weights_is_refused(trained: Trained, tmp_path: Path) -> None:
    run = trained.copy(tmp_path / "run")
    torch.save(trained.pipeline.model.state_dict(), run / "model.safetensors")
    with pytest.raises(OmnifuseError, match="weights are damaged"):
        Pipeline.load(run)


def change(name: str, text: str | None) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        (run / name).unlink() if text is None else (run / name).write_text(text, encoding="utf-8")

    return damage


def edit(name: str, how: Callable[[dict], object]) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        value = json.loads((run / name).read_text(encoding="utf-8"))
        how(value)
        (run / name).write_text(json.dumps(value), encoding="utf-8")

    return damage


def cut(name: str, keep: float) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        data = (run / name).read_bytes()
        (run / name).write_bytes(data[: int(len(data) * keep)])

    return damage


DAMAGE = {
    "no config": (change("config.json", None), "config.json: there is no trained run here"),
    "cut config": (cut("config.json", 0.5), "config.json: this trained run cannot be read"),
    "empty config": (change("config.json", ""), "config.json: this trained run cannot be read"),
    "config of a newer format": (edit("config.json", lambda c: c.update(format=99)), "config.json: not a run of this version"),
    "config that is a list": (change("config.json", "[]"), "config.json: not a run of this version"),
    "config without columns": (edit("config.json", lambda c: c.pop("columns")), "config.json"),
    "config without specs": (edit("config.json", lambda c: c.pop("specs")), "config.json"),
    "config with the spec of a column missing": (edit("config.json", lambda c: c["specs"].pop("shop")), "config.json"),
    "config with an unknown option": (edit("config.json", lambda c: c["model"].update(dmi=3)), 'unknown option "dmi"'),
    "config with an unknown fusion": (edit("config.json", lambda c: c["model"].update(fusion="jiont")), 'unknown fusion "jiont"'),
    "no weights": (change("model.safetensors", None), "model.safetensors: the weights are missing"),
    "empty weights": (change("model.safetensors", ""), "model.safetensors: the weights are damaged"),
    "cut weights": (cut("model.safetensors", 0.7), "model.safetensors: the weights are damaged"),
    "cut head of weights": (cut("model.safetensors", 0.01), "model.safetensors: the weights are damaged"),
    "no processors": (change("processors.json", None), "processors.json: there is no set of processors here"),
    "cut processors": (cut("processors.json", 0.5), "processors.json: this set of processors cannot be read"),
    "processors that are a list": (change("processors.json", "[]"), "processors.json"),
    "processor of a column missing": (edit("processors.json", lambda p: p.pop("shop")), 'processor of column "shop" is missing'),
    "processor without state": (edit("processors.json", lambda p: p["shop"].pop("state")), "processors.json"),
    "processor with a foreign state": (edit("processors.json", lambda p: p["shop"].update(state=p["size"]["state"])), "processors.json"),
    "processor with a damaged tokenizer": (
        edit("processors.json", lambda p: p["question"]["state"].update(tokenizer="{}")),
        "processors.json",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_gives_one_clear_line(trained: Trained, tmp_path: Path, damage: str) -> None:
    run = trained.copy(tmp_path / "run")
    harm, message = DAMAGE[damage]
    harm(run)
    with pytest.raises(OmnifuseError) as caught:
        Pipeline.load(run)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_no_run_or_is_not_there(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(OmnifuseError, match=r"config\.json: there is no trained run here"):
            Pipeline.load(folder)


def test_weights_of_another_model_are_refused(trained: Trained, tmp_path: Path) -> None:
    rows = colour_rows(tmp_path / "pictures", 40, absent=0.1)
    settings = {"train.epochs": 1, "data.root": str(tmp_path / "pictures")}
    for name, more in {"wider": {"model.dim": 20}, "other": {"model.dim": 16, "model.fusion": "concat"}}.items():
        of.fit(rows, columns=COLUMNS, out=tmp_path / name, settings={**settings, **more})
        run = trained.copy(tmp_path / f"{name} copy")
        (run / "model.safetensors").write_bytes((tmp_path / name / "model.safetensors").read_bytes())
        with pytest.raises(OmnifuseError, match=r"model\.safetensors: these are the weights of another model") as caught:
            Pipeline.load(run)
        assert "\n" not in str(caught.value)


def test_a_training_that_has_not_finished_says_how_to_go_on(trained: Trained, tmp_path: Path) -> None:
    run = trained.copy(tmp_path / "run")
    (run / "config.json").unlink()
    (run / "checkpoints").mkdir()
    with pytest.raises(OmnifuseError, match=r"has not finished; continue it with .*--resume"):
        Pipeline.load(run)


def test_the_card_says_what_goes_in_and_what_comes_out(trained: Trained) -> None:
    card = (trained.run / "README.md").read_text(encoding="utf-8")
    assert "Reads picture, question, size, shop; answers answer, price." in card
    assert all(f"| {name} |" in card for name in COLUMNS)
