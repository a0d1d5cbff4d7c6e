"""The recipe: everything that makes a run, in one YAML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import ConfigDict, PlainSerializer, PlainValidator

from omnifuse.core.config import Config
from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Schema
from omnifuse.core.yaml_text import read_yaml
from omnifuse.data.config import DataConfig
from omnifuse.data.modalities.config import check_columns
from omnifuse.evaluation.config import EvaluateConfig
from omnifuse.evaluation.kinds import kind_of
from omnifuse.evaluation.metrics import check_monitor
from omnifuse.model.config import ModelConfig
from omnifuse.model.presets import fill_in
from omnifuse.train.config import TrainConfig

Columns = Annotated[Schema, PlainValidator(Schema.parse), PlainSerializer(lambda schema: schema.dump())]


class Recipe(Config):
    """What to learn, from which data, with which model, how.

    Attributes:
        name: shown in reports.
        seed: of splits, weights, order and noise.
        columns: modality, role and options of every column.
        data, model, train, evaluate: one section for each step.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    name: str = "run"
    seed: int = 0
    columns: Columns
    data: DataConfig
    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    evaluate: EvaluateConfig = EvaluateConfig()

    @classmethod
    def load(cls, path: str | Path, settings: Sequence[str] = ()) -> Recipe:
        """Read a recipe and change it by settings such as `train.epochs=3`.

        Raises:
            OmnifuseError: no such file, no YAML, an unknown or wrong option (with its path and the nearest name).
        """
        path = Path(path)
        try:
            value = read_yaml(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise OmnifuseError(f"{path}: no such recipe; make one with `omnifuse init DATA`") from None
        except (OSError, UnicodeDecodeError) as error:
            raise OmnifuseError(f"{path}: cannot be read ({error})") from None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f" line {mark.line + 1}" if mark else ""
            raise OmnifuseError(f"{path}:{where} not valid YAML ({getattr(error, 'problem', error)})") from None
        except ValueError as error:
            raise OmnifuseError(f"{path}: holds a value that cannot be read ({str(error).splitlines()[0]})") from None
        if not isinstance(value, dict):
            raise OmnifuseError(f"{path}: a recipe is a mapping with `columns` and `data`")
        value.setdefault("name", path.stem if path.stem != "recipe" else path.resolve().parent.name)
        return cls.make(apply_settings(value, settings))

    @classmethod
    def make(cls, value: Mapping[str, Any]) -> Recipe:
        """Validate a recipe given as a mapping, and check that its sections fit each other; a preset of the model is filled in."""
        value = dict(value)
        if "columns" in value and isinstance(model := value.get("model"), Mapping) and "preset" in model:
            value["model"] = fill_in(model, Schema.parse(value["columns"]))
        recipe = cls.parse(value)
        if not recipe.name.strip() or recipe.name.startswith(".") or any(mark in recipe.name for mark in "/\\\0\n"):
            raise OmnifuseError(f"name: {recipe.name!r} cannot name files; leave out slashes and leading dots")
        check_columns(recipe.columns)
        if not recipe.columns.targets:  # enough for `omnifuse prepare`; training asks for a target
            return recipe
        recipe.columns.check_trainable()
        recipe.model.check(recipe.columns)
        heads = {name: recipe.model.head_of(name, recipe.columns[name].modality) for name in recipe.columns.targets}
        check_monitor(recipe.train.monitor, {name: kind_of(head).names for name, head in heads.items()})
        for name in recipe.train.target_weights:
            if name not in recipe.columns.targets:
                raise OmnifuseError(f'train.target_weights: "{name}" is not a target; targets: {", ".join(recipe.columns.targets)}')
        return recipe

    def dump(self) -> dict[str, Any]:
        """The recipe as plain values, with every default filled in."""
        return self.model_dump(mode="json")


def apply_settings(value: Mapping[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """Change a recipe by `path=value` words; values are read as YAML.

    >>> apply_settings({"train": {"epochs": 10}}, ["train.epochs=3", "model.fusion=concat"])
    {'train': {'epochs': 3}, 'model': {'fusion': 'concat'}}
    """
    result = _copy(value)
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals or not path.strip():
            raise OmnifuseError(f"--set {setting}: write it as path=value, such as train.epochs=3")
        try:
            chosen = read_yaml(text)
        except (yaml.YAMLError, ValueError):
            raise OmnifuseError(f"--set {setting}: the value is not valid YAML; put it in quotes") from None
        *parents, last = path.strip().split(".")
        place: dict[str, Any] = result
        for key in parents:
            inner: Any = place.get(key)
            if isinstance(inner, str):  # a part named in short, such as `fusion: concat`
                inner = {"modality" if parents[0] == "columns" else "name": inner}
            if inner is None:
                inner = {}
            if not isinstance(inner, dict):
                raise OmnifuseError(f"--set {setting}: {key} holds {inner!r}, not a section")
            place[key] = inner
            place = inner
        place[last] = chosen
    return result


def _copy(value: Any) -> Any:
    return {key: _copy(inner) for key, inner in value.items()} if isinstance(value, Mapping) else value
