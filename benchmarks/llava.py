"""A model in the shape of LLaVA on easy-VQA: answers are written by a causal language model, and count when the words are the same.

    python -m benchmarks.llava [--folder FOLDER] [--seed 0] [--threads 1]

Nothing is downloaded, so the language model is made here first. All three stages see the training split alone:

0. a small Llama learns to answer the training questions in words, each behind a few words that describe its picture: the
   answers to the other questions about it that ask for its colour and its shape. It sees no picture;
1. it is frozen. Questions go through its own table of words; the encoder of pictures and the projector learn to speak to it;
2. the run goes on from there (`train.init`) with low-rank additions to the language model.

Then the language model's folder is put aside, the last run is loaded anew, and must write the same answers. Beside it the
fusion `llm` over the same language model, with low-rank additions, for the answers as labels. Each result is kept in
results/llava.jsonl as it comes, and with a --folder that is kept, what is done there is not done again. Writes
docs/results/llava.md.
"""

from __future__ import annotations

import argparse
import csv
import math
import random
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks.loop import RECIPE
from benchmarks.results import keep, kept
from omnifuse.core.atomic import read_json
from omnifuse.evaluation.evaluation import evaluate
from omnifuse.pipeline.pipeline import Pipeline
from omnifuse.recipes.easy_vqa.tables import write_tables
from omnifuse.train.fit import prepare_recipe, train
from omnifuse.train.recipe import Recipe

PAGE = Path(__file__).parents[1] / "docs" / "results" / "llava.md"
LLAMA: dict[str, Any] = {
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 192,
    "max_position_embeddings": 128,
}
MARKS: dict[str, Any] = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
EPOCHS, BATCH, RATE, DESCRIBED = 6, 128, 3e-3, (2, 20)  # of stage 0; the last is between how many words describe a picture
HEAD = "{name: causal_lm, model: %s, max_new_tokens: 4, tune: %s, lora_rank: 16, lora_alpha: 32}"
FUSION = "{name: llm, model: %s, tune: lora, lora_rank: 16, lora_alpha: 32}"

NAMES = {1: "stage 1", 2: "stage 2", "llm": "fusion `llm`"}


def main() -> None:
    """Do what is not done yet, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=None, help="where to work; a temporary folder by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        measure(folder, arguments.seed)
    write_page()


def measure(folder: Path, seed: int) -> None:
    """All stages, in a folder."""
    tables = write_tables(folder)
    language = folder / "language"
    if not (language / "model.safetensors").exists():
        keep("llava", {"stage": 0, "seed": seed, **teach_to_write(tables, language, seed)})
    (folder / "recipe.yaml").write_text(RECIPE.read_text(encoding="utf-8"), encoding="utf-8")
    first, second = folder / "stage1", folder / "stage2"
    common = [f"seed={seed}", "train.tracking=[]", f"model.dim={LLAMA['hidden_size']}"]
    common += ["model.encoders.image={name: cnn, grid: 4}", f"model.encoders.question={{name: words, model: {language}}}"]
    writes = [*common, "model.fusion=stack", "columns.answer={modality: text, role: target, max_length: 8}"]
    run_stage(1, first, [*writes, "train.epochs=3", f"model.heads.answer={HEAD % (language, 'frozen')}"], seed)
    settings = [f"train.init={first}", "train.epochs=5", f"model.heads.answer={HEAD % (language, 'lora')}"]
    run_stage(2, second, [*writes, *settings], seed)
    check_alone(second, language, tables["test"])
    run_stage("llm", folder / "fusion", [*common, "train.epochs=4", f"model.fusion={FUSION % language}"], seed)


def run_stage(stage: int | str, run: Path, settings: list[str], seed: int) -> None:
    """Train and judge one stage, unless that is done."""
    if (run / "metrics.json").exists():
        return
    recipe = Recipe.load(run.parent / "recipe.yaml", settings)
    dataset = prepare_recipe(recipe, run.parent)
    pipeline = train(recipe, run, base=run.parent, resume=True)
    result = evaluate(pipeline, dataset)
    result.save(run)
    weights = list(pipeline.model.parameters())
    keep(
        "llava",
        {
            "stage": stage,
            "seed": seed,
            "accuracy": round(result.metrics["answer"]["accuracy"], 4),
            "interval": result.details["intervals"]["answer"]["accuracy"],
            "shuffled": {c: round(t["shuffled"], 4) for c, t in result.details["shuffle"]["answer"]["columns"].items()},
            "epochs": recipe.train.epochs,
            "train_s": read_json(run / "config.json", "run")["trained"]["seconds"],
            "weights": sum(p.numel() for p in weights),
            "trained": sum(p.numel() for p in weights if p.requires_grad),
        },
    )


def check_alone(run: Path, language: Path, table: Path, rows: int = 500) -> None:
    """The run writes the same answers when it is loaded anew, without the folder of its language model."""
    with table.open(encoding="utf-8") as file:
        questions = [
            {"image": row["image"], "question": row["question"]} for row, _ in zip(csv.DictReader(file), range(rows), strict=False)
        ]
    before = Pipeline.load(run).predict(questions)
    aside = language.rename(language.with_name("language.aside"))
    after = Pipeline.load(run).predict(questions)
    aside.rename(language)
    assert before == after, "answers differ without the folder of the language model"


# Stage 0: a language model that knows this little world from texts alone


class Told(NamedTuple):
    """A question with its answer, and the words that are known to describe its picture."""

    facts: list[str]
    question: str
    answer: str


def teach_to_write(tables: dict[str, Path], folder: Path, seed: int) -> dict[str, Any]:
    """Train a small Llama from nothing, and save it as Hugging Face saves such models."""
    from transformers import LlamaConfig, LlamaForCausalLM

    train_texts, test_texts = (_told(tables[split]) for split in ("train", "test"))
    tokenizer = _tokenizer([f"{told.question} {told.answer}" for told in train_texts])
    torch.manual_seed(seed)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=tokenizer.get_vocab_size(), **LLAMA, **MARKS))
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01, betas=(0.9, 0.98))
    total = EPOCHS * math.ceil(len(train_texts) / BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=total, pct_start=0.1)
    began = time.perf_counter()
    for epoch in range(EPOCHS):
        for ids in _batches(train_texts, tokenizer, random.Random(f"{seed} {epoch}")):
            model(input_ids=ids.clamp(min=0), attention_mask=(ids >= 0).long(), labels=ids, use_cache=False).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
    seconds = time.perf_counter() - began
    accuracy = _accuracy(model.eval(), test_texts, tokenizer)
    partial = folder.with_name("language.partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial)
    _save_tokenizer(tokenizer, partial)
    partial.rename(folder)
    about = {"accuracy": round(accuracy, 4), "texts": len(train_texts), "epochs": EPOCHS, "train_s": round(seconds, 1)}
    return {**about, "weights": sum(p.numel() for p in model.parameters()), "vocabulary": tokenizer.get_vocab_size()}


def _told(table: Path) -> list[Told]:
    """The questions about pictures whose colour and shape are both told by answers to questions about them."""
    pairs: dict[str, list[tuple[str, str]]] = defaultdict(list)
    with table.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            pairs[row["image"]].append((row["question"], row["answer"]))
    facts = {image: sorted({answer for question, answer in asked if question.startswith("what")}) for image, asked in pairs.items()}
    return [Told(facts[image], *pair) for image, asked in pairs.items() if len(facts[image]) == 2 for pair in asked]


def _tokenizer(texts: list[str]) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<s>", "<pad>", "</s>"]
    trainer = trainers.BpeTrainer(vocab_size=512, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _save_tokenizer(tokenizer: Any, folder: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    names: Any = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    longest = LLAMA["max_position_embeddings"]
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=longest, **names).save_pretrained(folder)


def _batches(texts: list[Told], tokenizer: Any, chance: random.Random) -> Iterator[Tensor]:
    """<s> red circle circle red … question answer </s>, (B, T) ids; −100 where padded."""
    order = chance.sample(texts, len(texts))
    for start in range(0, len(order), BATCH):
        rows = []
        for told in order[start : start + BATCH]:
            words = [*told.facts, *chance.choices(told.facts, k=chance.randint(*DESCRIBED) - 2)]
            chance.shuffle(words)
            parts = [tokenizer.encode(part).ids for part in (*words, told.question, told.answer)]
            rows.append(torch.tensor([MARKS["bos_token_id"], *chain.from_iterable(parts), MARKS["eos_token_id"]]))
        yield torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-100)


@torch.inference_mode()
def _accuracy(model: Any, texts: list[Told], tokenizer: Any) -> float:
    """How often the first token of the answer is the most probable one; answers here are single tokens."""
    right = 0
    for ids in _batches(texts, tokenizer, random.Random(0)):
        logits = model(input_ids=ids.clamp(min=0), attention_mask=(ids >= 0).long(), use_cache=False).logits
        place = (ids >= 0).sum(1) - 2  # of the answer
        rows = torch.arange(len(ids))
        right += int((logits[rows, place - 1].argmax(-1) == ids[rows, place]).sum())
    return right / len(texts)


def write_page() -> None:
    """Write docs/results/llava.md from the kept results."""
    stages = {entry["stage"]: entry for entry in kept("llava")}
    machine = kept("llava")[-1]
    lines = [
        "# A model in the shape of LLaVA on easy-VQA",
        "",
        "Pictures and questions become tokens side by side (fusion `stack`); a projector hands them to a causal language model in",
        "the place of words, and the model writes the answer (head `causal_lm`). An answer counts when its words are the true ones.",
        "9,673 test questions about pictures that were not seen in training; the best answer without the picture is 0.670, always",
        '"yes" 0.373. Made by `python -m benchmarks.llava`, which begins with nothing:',
        "",
        f"0. a Llama of {stages[0]['weights']:,} weights learns to answer {stages[0]['texts']:,} training questions behind a few words",
        "   that describe the picture (the answers to the questions about it that ask for its colour and its shape), never a picture:",
        f"   {stages[0]['epochs']} epochs in {stages[0]['train_s']:.0f} s; of test questions that are told so, it answers",
        f"   {stages[0]['accuracy']:.4f} right;",
        "1. it stays frozen; questions go through its own table of words (encoder `words`), and a convolutional network for pictures",
        "   and the projector are trained;",
        "2. the run goes on with `train.init` and low-rank additions to the language model (rank 16).",
        "",
        "| | accuracy | 95 % interval | pictures shuffled | questions shuffled | epochs | training | weights | trained ones |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for stage in (1, 2, "llm"):
        if entry := stages.get(stage):
            low, high = entry["interval"]
            lines.append(
                f"| {NAMES[stage]} | {entry['accuracy']:.4f} | {low:.4f} to {high:.4f} | {entry['shuffled']['image']:.3f}"
                f" | {entry['shuffled']['question']:.3f} | {entry['epochs']:g} | {entry['train_s']:.0f} s"
                f" | {entry['weights']:,} | {entry['trained']:,} |"
            )
    if "llm" in stages:
        lines += ["", "The last line is no stage: the same language model as the fusion `llm`, for labels (head `category`)."]
    lines += [
        "",
        "One seed. The run of stage 2 was loaded anew without the folder of its language model and wrote the same answers. There is",
        "no pretrained image encoder here, so stage 1 trains one with the projector, which LLaVA does not. Training time is of one",
        "thread, beside much other work on the machine: it says little.",
        "",
        f"{machine['cpu']}, {machine['cores']} cores, PyTorch {machine['torch']}, {machine['date']}, seed {machine['seed']}.",
        "",
    ]
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
