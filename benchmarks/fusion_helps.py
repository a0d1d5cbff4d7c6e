"""Does fusion help on real tables? `of.compare` on four of them, also where the answer is no.

    OMNIFUSE_DATA=FOLDER python -m benchmarks.fusion_helps [--seeds 3] [--threads 1] [--only NAME …] [--work FOLDER]

For each recipe: every input column alone, and a handful of fusions of all columns, at the same budget over the same seeds.
Resumable with --work. What `compare.json` says is kept in results/fusion_helps.jsonl; writes docs/results/fusion_helps.md.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import torch

import omnifuse as of
from benchmarks.results import keep, kept
from omnifuse.recipes import write_recipe

PAGE = Path(__file__).parents[1] / "docs" / "results" / "fusion_helps.md"
FUSIONS = ["concat", "weighted_sum", "product", "low_rank", "gated", "joint"]
# Recipe: the fusions that take part, and whether rows are divided anew with each seed.
STUDIES = {
    "reviews": (["concat", "weighted_sum", "gated"], True),
    "covid_xray": (["concat", "weighted_sum", "gated", "joint"], True),
    "arem_links": (FUSIONS, True),
    "basicmotions_sensors": (FUSIONS, False),
}


def main() -> None:
    """Compare on every recipe that was not compared yet, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="+", default=list(STUDIES))
    parser.add_argument("--work", type=Path, help="where runs are kept, so that an interrupted comparison goes on")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        for name in arguments.only:
            if not any(entry["recipe"] == name and len(entry["seeds"]) >= arguments.seeds for entry in kept("fusion_helps")):
                measure(name, arguments.seeds, work / name)
    write_page()


def measure(name: str, seeds: int, folder: Path) -> None:
    """Compare on one recipe."""
    folder.mkdir(parents=True, exist_ok=True)
    fusions, divide = STUDIES[name]
    recipe = of.Recipe.load(write_recipe(name, folder))
    about = of.compare(recipe, folder / "compare", base=folder, fusions=fusions, seeds=seeds, divide=divide).about
    [(target, outcome)] = about["targets"].items()
    contenders = about["contenders"]
    rows = [
        {
            "name": contenders[each["contender"]]["name"],
            "kind": contenders[each["contender"]]["kind"],
            "test": each["test"],
            "gain": each["gain"],
            "metrics": each["metrics"],
            "parameters": contenders[each["contender"]]["costs"]["parameters"],
        }
        for each in outcome["ranking"]
    ]
    told = {key: outcome[key] for key in ("metric", "verdict", "sentence", "test_rows", "test_groups")}
    keep("fusion_helps", {"recipe": name, "target": target, "seeds": about["seeds"], "varies": about["varies"], **told, "ranking": rows})


def write_page() -> None:
    """Write docs/results/fusion_helps.md from the kept results."""
    latest = {entry["recipe"]: entry for entry in kept("fusion_helps")}
    if not latest:
        return
    machine = list(latest.values())[-1]
    lines = [
        "# Does fusion help? Four real tables",
        "",
        "`omnifuse compare` on the recipes of the same names: every input column alone, and fusions of all of them, at the same budget",
        "with the same seeds. The best single column and the best fusion are chosen on validation rows, the sentence is about test rows.",
        "*Gain* is over that column, in points of a hundred, with its 95 % interval and the p of a paired test, corrected by Holm.",
        "Made by `OMNIFUSE_DATA=FOLDER python -m benchmarks.fusion_helps`.",
    ]
    for name in (name for name in STUDIES if name in latest):
        lines += ["", f"## {name}", "", *_study(latest[name])]
    lines += ["", f"{machine['cpu']}, {machine['cores']} cores, PyTorch {machine['torch']}, {machine['date']}.", ""]
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text("\n".join(lines), encoding="utf-8")


def _study(entry: dict[str, Any]) -> list[str]:
    """The sentence and the table of one recipe."""
    groups = f" in {entry['test_groups']:,} groups" if entry["test_groups"] != entry["test_rows"] else ""
    further = [metric for metric in ("auroc",) if metric in entry["ranking"][0]["metrics"]]
    lines = [
        f"**{entry['sentence']}**",
        "",
        f"Target `{entry['target']}`, {entry['test_rows']:,} test rows{groups}, {len(entry['seeds'])} seeds; they vary {entry['varies']}.",
        "",
        f"| | {entry['metric']} | {''.join(f'{metric} | ' for metric in further)}gain | p | weights |",
        f"|---|---|{'---|' * len(further)}---|---|---|",
    ]
    for row in entry["ranking"]:
        test, gain = row["test"], row["gain"]
        told = "" if gain is None else f"{_points(gain['mean'])} ({_points(gain['low'])} to {_points(gain['high'])})"
        p = "" if gain is None or gain["p_holm"] is None else f"{gain['p_holm']:.3f}"
        more = "".join(f"{row['metrics'][metric]:.4f} | " for metric in further)
        name = f"**{row['name']}**" if row["kind"] == "single" else row["name"]
        lines.append(f"| {name} | {test['mean']:.4f} | {more}{told} | {p} | {row['parameters']:,} |")
    return lines


def _points(share: float | None) -> str:
    return "?" if share is None else f"{100 * share:+.1f}"


if __name__ == "__main__":
    os.environ.setdefault("OMNIFUSE_DATA", str(Path(__file__).parents[2] / "shared" / "data"))
    main()
