"""The memory that `omnifuse plan` predicts for training, beside what a real step of training takes on the CPU.

    OMNIFUSE_DATA=FOLDER python -m benchmarks.plan_memory [--threads 1]

Each case is planned in one process, and really trained for two steps in another, on the same batches. The real figure knows
nothing of the plan: it is the highest resident memory of the process (VmHWM of Linux, set back before the second step), less
pages of files (libraries, which the system may take away and bring back), less what it held before the model was built, with
libraries loaded and a small network of other sizes run once. A step during which pages of files came or went is repeated; by
how many bytes the best step is unsure is told. glibc gives every
block of 64 KiB and more a mapping of its own, which goes back to the system when it is freed, so freed memory does not count.
The cases take hundreds of megabytes, beside which what an allocator rounds up and what libraries keep is small.
Resumable: cases in results/plan_memory.jsonl are not repeated.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.results import keep, kept
from omnifuse.core.atomic import write_json
from omnifuse.core.values import Values
from omnifuse.train.recipe import Recipe

ROWS = 2048
TRIES, STILL = 5, 1 << 20  # steps that are measured at most; bytes of files that may move
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}
INPUTS = {"picture": {"modality": "image", "size": 32}, "question": "text", "size": "number"}
NGRAM = {"name": "ngram", "dropout": 0.5, "buckets": 65536}
BERT = {"hidden_size": 256, "num_hidden_layers": 6, "num_attention_heads": 4, "intermediate_size": 1024}


def cases(folder: Path) -> dict[str, dict[str, Any]]:
    """Model and training of each case."""
    adam, large = {"device": "cpu"}, {"dim": 1024, "fusion": {"name": "perceiver", "latents": 64, "depth": 4, "blocks": 2, "heads": 16}}
    bert = {"dim": 64, "encoders": {"question": {"name": "hf_text", "model": str(folder / "bert"), "weights": "random", "tune": "full"}}}
    joint = {"dim": 64, "fusion": "joint", "encoders": {"question": "transformer"}}
    found: dict[str, dict[str, Any]] = {}
    for rows in (128, 512):
        found[f"cnn + transformer + joint, batch {rows}"] = {"model": joint, "train": {**adam, "batch_size": rows}}
        found[f"BERT of 6 layers, full, batch {rows // 4}"] = {"model": bert, "train": {**adam, "batch_size": rows // 4}}
        found[f"perceiver of width 1024, batch {rows // 8}"] = {"model": large, "train": {**adam, "batch_size": rows // 8}}
        found[f"reviews with n-grams, batch {32 * rows}"] = {"reviews": True, "train": {**adam, "batch_size": 32 * rows}}
    found["cnn + transformer + joint in bf16, batch 512"] = {"model": joint, "train": {**adam, "batch_size": 512, "precision": "bf16"}}
    found["cnn + transformer + joint in 4 parts, batch 512"] = {"model": joint, "train": {**adam, "batch_size": 512, "accumulate": 4}}
    sgd = {**adam, "batch_size": 64, "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9}}
    found["perceiver of width 1024 with SGD, batch 64"] = {"model": large, "train": sgd}
    frozen = {"question": {**bert["encoders"]["question"], "tune": "frozen", "pool": "tokens"}}
    found["frozen BERT of 6 layers, its tokens joint, batch 512"] = {
        "model": {**joint, "encoders": frozen},
        "train": {**adam, "batch_size": 512},
    }
    return found


def main() -> None:
    """Measure what is not measured yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", help="a part of the names of cases")
    parser.add_argument("--child", nargs=2, metavar=("HOW", "RECIPE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        how, recipe = arguments.child
        print(json.dumps({"plan": planned, "real": trained}[how](Path(recipe))))
        return
    import torch

    torch.set_num_threads(arguments.threads)  # as those that are measured have, for the record
    done = {entry["case"] for entry in kept("plan_memory")}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_rows(folder)
        write_bert(folder)
        for case, options in cases(folder).items():
            if case in done or (arguments.only and arguments.only not in case):
                continue
            recipe = folder / f"{len(case)}-{abs(hash(case))}.json"
            write_json(recipe, recipe_of(options))
            plan, real = (_child(how, recipe, arguments.threads) for how in ("plan", "real"))
            ratio = round(plan["bytes"] / real["bytes"], 4)
            keep(
                "plan_memory",
                {
                    "case": case,
                    "planned_mb": plan["bytes"] / 1e6,
                    "real_mb": real["bytes"] / 1e6,
                    "ratio": ratio,
                    "unsure_mb": real["unsure"] / 1e6,
                    "plan": plan,
                },
            )


def recipe_of(options: dict[str, Any]) -> dict[str, Any]:
    """The recipe of a case."""
    if options.get("reviews"):
        from omnifuse.core.yaml_text import read_yaml
        from omnifuse.recipes import reviews

        recipe = read_yaml((Path(reviews.__file__).parent / "recipe.yaml").read_text(encoding="utf-8"))
        return {**recipe, "train": {**recipe["train"], **options["train"]}}
    columns = {**INPUTS, "answer": {"modality": "category", "role": "target"}}
    return {"name": "rows", "columns": columns, "data": {"source": "rows.jsonl"}, **options}


def planned(path: Path) -> dict[str, Any]:
    """Peak of the second step as the plan foresees it."""
    from omnifuse.study.plan.ground import stand_on
    from omnifuse.study.plan.plan import size_up

    memory = size_up(stand_on(Recipe.load(path), path.parent))[1].memory
    kinds = {kind: memory.of(kind) for kind in ("weights", "gradients", "optimizer", "activations", "batch")}
    return {"bytes": memory.bytes, **kinds, "during": memory.during}


def trained(path: Path) -> dict[str, Any]:
    """Peak of a real second step, or of a later one during which the system took no pages of files from the process."""
    from omnifuse.study.plan.ground import stand_on
    from omnifuse.study.plan.memory import feed

    ground = stand_on(Recipe.load(path), path.parent)
    _warm()
    gc.collect()
    before = _status("RssAnon")
    trainer = ground.trainer(fake=False)
    trainer.step(0, feed(trainer, _copy(ground.typical())).batch)
    gc.collect()
    batch = feed(trainer, _copy(ground.largest())).batch
    found: dict[int, int] = {}  # peak, by how much pages of files moved
    for step in range(1, TRIES + 1):
        Path("/proc/self/clear_refs").write_text("5")  # from now on VmHWM is the highest
        files = _status("RssFile")
        trainer.step(step, batch)
        peak, after = _status("VmHWM"), _status("RssFile")
        found[abs(after - files)] = peak - max(files, after) - before
        if min(found) <= STILL:
            break
    return {"bytes": found[min(found)], "unsure": min(found)}


def write_rows(folder: Path) -> None:
    """Pictures of 32 pixels, questions of 4 to 32 words, numbers, answers; some absent."""
    draw = np.random.default_rng(0)
    words = [f"word{n}" for n in range(500)]
    for number in range(64):
        Image.fromarray(draw.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    rows = [
        {
            "picture": f"{draw.integers(0, 64)}.png" if draw.random() > 0.1 else None,
            "question": " ".join(draw.choice(words, draw.integers(4, 32))) if draw.random() > 0.1 else None,
            "size": float(draw.normal()),
            "answer": str(draw.choice(["yes", "no", "perhaps"])),
        }
        for _ in range(ROWS)
    ]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


def write_bert(folder: Path) -> None:
    """A folder that holds a configuration and a tokenizer, without weights."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import BertConfig, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    words = [f"word{n}" for n in range(500)]
    tokenizer.train_from_iterator(words, trainers.WordPieceTrainer(vocab_size=800, special_tokens=special, show_progress=False))
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    names = {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=128, **names).save_pretrained(folder / "bert")
    BertConfig(vocab_size=30522, max_position_embeddings=128, **BERT).save_pretrained(folder / "bert")


def _child(how: str, recipe: Path, threads: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.plan_memory", "--child", how, str(recipe)]
    environment = {**os.environ, **ALLOCATOR, "OMP_NUM_THREADS": str(threads)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"{recipe}: {how} failed\n{ended.stderr[-2000:]}")
    return json.loads(ended.stdout.splitlines()[-1])


def _warm() -> None:
    """Load what the first convolution, product, attention, pretrained network and step of an optimizer load."""
    import torch
    import torch.nn.functional as F
    from accelerate import Accelerator
    from torch import nn
    from transformers import BertConfig, BertModel

    Accelerator(cpu=True)
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8, "vocab_size": 8}
    BertModel(BertConfig(**shape))(torch.zeros(2, 3, dtype=torch.long)).last_hidden_state.sum().backward()

    convolution, linear = nn.Conv2d(3, 8, 3), nn.Linear(8, 8)
    rows_BD = linear(convolution(torch.randn(2, 3, 8, 8)).mean((2, 3)))
    query_BHTD = rows_BD[:, None, None]
    F.scaled_dot_product_attention(query_BHTD, query_BHTD, query_BHTD, attn_mask=torch.ones(2, 1, 1, 1, dtype=torch.bool)).sum().backward()
    torch.optim.AdamW([*convolution.parameters(), *linear.parameters()], fused=True).step()


def _copy(batch: dict[str, Values]) -> dict[str, Values]:
    """In memory of its own, for the batches that were read were there before."""
    return {
        name: replace(
            values, data=values.data.clone(), present=values.present.clone(), mask=None if values.mask is None else values.mask.clone()
        )
        for name, values in batch.items()
    }


def _status(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
