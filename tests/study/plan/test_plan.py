"""A plan says what will be held, in how much time, and whether it fits."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from omnifuse.core.errors import OmnifuseError
from omnifuse.study.plan.ground import Ground
from omnifuse.study.plan.plan import plan, size_up
from omnifuse.study.plan.verdict import Verdict, judge
from omnifuse.train.recipe import Recipe, apply_settings
from tests.study.plan.plans import recipe_of


def test_a_small_model_fits_and_its_steps_are_really_timed(table: Path) -> None:
    made = plan(recipe_of(), table)
    assert made.verdict.fits and made.verdict.sentence.startswith("It fits here: ")
    assert made.time.measured > 0 and made.time.epoch_s == pytest.approx(made.rows / 16 * made.time.step_s)
    assert [part.name for part in made.parts if part.parameters] == [
        "encoder of picture", "encoder of question", "encoder of size", "encoder of shop", "fusion", "head of answer",
    ]  # fmt: skip
    assert all(part.training_flops > 2 * part.forward_flops for part in made.parts if part.name == "fusion")
    assert json.loads(json.dumps(made.dump()))["verdict"]["fits"]


def test_a_language_model_is_sized_up_without_its_weights(table: Path, tmp_path: Path) -> None:
    from transformers import LlamaConfig

    shape = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16, "vocab_size": 32_000}
    LlamaConfig(bos_token_id=0, eos_token_id=2, pad_token_id=1, **shape).save_pretrained(tmp_path)
    fusion = {"name": "llm", "model": str(tmp_path), "weights": "random", "tune": "full"}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    made = plan(recipe_of({"fusion": fusion}), table, memory_gb=4)
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]
    assert made.parameters > 400e6
    assert made.training.bytes > 3 * 4 * 400e6
    assert grown < 4 * made.parameters / 4, "planning takes a small part of the weights' memory"
    assert made.time.measured == 0
    assert not made.verdict.fits
    assert any("model.fusion.tune=lora" in change for change in made.verdict.changes)
    assert any("--ranks" in change for change in made.verdict.changes)


def test_what_is_advised_makes_it_fit(ground_of: Callable[..., Ground]) -> None:
    ground = ground_of({"dim": 64, "fusion": {"name": "joint", "depth": 4}}, batch_size=64)
    needed = size_up(ground)[1].memory
    capacity = needed.bytes // 2
    tight = judge(ground.recipe, needed, needed.of("weights"), 0, capacity, [], here=False)
    assert not tight.fits and tight.sentence.startswith("It does not fit on one accelerator of ")
    advice = next(change for change in tight.changes if change.startswith("--set train.accumulate="))
    changed = Recipe.make(apply_settings(ground.recipe.dump(), [advice.split()[1].rstrip(":")]))
    assert size_up(replace(ground, recipe=changed))[1].memory.bytes <= capacity


def test_a_cluster_takes_the_simplest_strategy_that_fits(table: Path) -> None:
    recipe = recipe_of({"dim": 64, "fusion": {"name": "joint", "depth": 2}})
    made = plan(recipe, table, ranks=2)
    assert (made.verdict.fits, made.verdict.strategy) == (True, "DDP")
    copied, divided = (rank.memory.bytes for rank in made.cluster)
    assert divided < copied

    def with_room_for(size: int) -> Verdict:
        return judge(recipe, made.training, made.training.of("weights"), 0, size, made.cluster, here=False)

    assert with_room_for(divided).strategy == "FSDP2" and with_room_for(divided).fits
    assert not with_room_for(divided // 2).fits and with_room_for(divided // 2).changes


@pytest.mark.parametrize(("options", "told"), [({"ranks": 0}, "--ranks: 0"), ({"memory_gb": 0}, "--memory: 0"), ({"ranks": 5}, "5 ranks")])
def test_what_makes_no_sense_is_refused(table: Path, options: dict, told: str) -> None:
    with pytest.raises(OmnifuseError, match=told):
        plan(recipe_of(), table, **options)
