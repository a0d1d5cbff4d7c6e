"""Gathers what is known about a run and writes `report.html`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from omnifuse.core.atomic import read_json, write_text
from omnifuse.core.errors import OmnifuseError
from omnifuse.core.registry import PartConfig
from omnifuse.data.dataset import Dataset
from omnifuse.data.modalities.processor import Processor
from omnifuse.evaluation.answers import Answers
from omnifuse.evaluation.evaluation import Evaluation
from omnifuse.evaluation.kinds import kind_of
from omnifuse.evaluation.kinds.kind import Kind
from omnifuse.evaluation.report import plots
from omnifuse.evaluation.report.against import against_section
from omnifuse.evaluation.report.calibration import calibration_section
from omnifuse.evaluation.report.drift import drift_section
from omnifuse.evaluation.report.examples import show_examples
from omnifuse.evaluation.report.groups import groups_section
from omnifuse.evaluation.report.markdown import write_markdown
from omnifuse.evaluation.report.names import NAMES
from omnifuse.evaluation.report.robustness import robustness_section
from omnifuse.evaluation.report.slices import slices_section
from omnifuse.evaluation.report.subsets import subsets_section
from omnifuse.page.blocks import Gallery
from omnifuse.page.figures import central
from omnifuse.page.page import render_page, versions_of
from omnifuse.page.sections import Fact, Section
from omnifuse.page.words import figure, shorten
from omnifuse.pipeline.generation import given_rows
from omnifuse.pipeline.pipeline import Pipeline
from omnifuse.pipeline.samples import Made, exhibit, given_words

LIBRARIES = ("torch", "numpy", "scikit-learn", "pylance", "daft", "tokenizers", "pillow")


FURTHER = {  # what else the first screen says, in one sentence each; of columns that may leak in several
    "subsets": "shares",
    "calibration": "confidence",
    "slices": "slices",
    "groups": "groups",
    "robustness": "damage",
    "against": "against",
}
VERDICTS = {"uses": "used", "ignores": "ignored", "unclear": "unclear"}


def write_report(run: Path, evaluation: Evaluation, pipeline: Pipeline, data: Dataset, *, examples: int = 8, explain: bool = False) -> Path:
    """Write `report.html` and the same in words and tables, `report.md`, into the folder of a run; of other rows than the test split
    `report-NAME.html`.

    The page stands alone: pictures and plots are inside it, and it fetches nothing. The same inputs give the same bytes.

    Args:
        run: its `config.json`, `metrics.json` and `history.jsonl` are used where they are there.
        evaluation: what `evaluate` returned.
        pipeline: the model that was judged.
        data: the rows it was judged on (the view of the split), for the examples.
        examples: right and wrong rows shown for each target, of each.
        explain: show what each column adds to the answers to them, and where in it.

    Returns:
        The path of the page.

    Raises:
        OmnifuseError: the data are not the rows that were judged, or the page cannot be written.
    """
    run = Path(run)
    if len(data) != evaluation.rows:
        raise OmnifuseError(f"the evaluation is of {evaluation.rows} rows and the data hold {len(data)}; give the split that was judged")
    config = _read(run / "config.json")
    history = _read_history(run / "history.jsonl")
    splits = {evaluation.split: evaluation.metrics} | {k: v for k, v in _read(run / "metrics.json").items() if k != evaluation.split}
    page = {
        "name": str(config.get("name") or run.resolve().name),
        "split": evaluation.split,
        "rows": evaluation.rows,
        "targets": [
            _target(evaluation, pipeline, target, position, splits)
            | {"examples": show_examples(pipeline, data, target, answers, examples, explain)}
            | {"samples": _samples(pipeline, data, target, examples, f"t{position}")}
            for position, (target, answers) in enumerate(evaluation.answers.items())
        ],
        "drift": drift_section(evaluation.details["drift"], "drift") if "drift" in evaluation.details else None,
        "learning": _learning(history, pipeline),
        "model": _model(pipeline, data),
        "training": _training(config, history),
        "recipe": json.dumps(config["recipe"], indent=2, ensure_ascii=False) if config.get("recipe") else None,
        "versions": versions_of(LIBRARIES),
    }
    write_markdown(run, page["name"], evaluation)
    path = run / evaluation.file_name("report", "html")
    write_text(path, render_page("omnifuse.evaluation.report/report.html.j2", page))
    return path


def _target(evaluation: Evaluation, pipeline: Pipeline, target: str, position: int, splits: Mapping[str, Any]) -> dict[str, Any]:
    """What the page says about one target."""
    details, kind = evaluation.details, kind_of(pipeline.head_config(target))
    metric = kind.main
    floor, test = details["floor"][target], details["shuffle"].get(target) or {}
    classes, confusion = details["classes"].get(target), details["confusion"].get(target)
    return {
        "name": target,
        "modality": pipeline.schema[target].modality,
        "headings": kind.headings,
        "answer": _answer(evaluation, target, kind, floor),
        "facts": _facts(details, target, kind, floor),
        "sentences": [
            {"text": text, "used": column["used"], "verdict": VERDICTS[column["verdict"]]}
            for text, column in zip(test.get("sentences", []), test.get("columns", {}).values(), strict=True)
        ],
        "further": [
            (word, line)
            for key, word in FURTHER.items()
            for line in details.get(key, {}).get(target, {}).get("sentences", [])[: None if key == "subsets" else 1]
        ],
        "sections": [section for section in _sections(details, target, NAMES[metric][0], f"t{position}") if section.blocks],
        "plots": list(_plots(evaluation, target, test, floor[metric], kind, f"t{position}")),
        "metrics": _metric_table(evaluation, target, splits),
        "splits": list(splits),
        "classes": classes,
        "labels": confusion["of"] if confusion else 0,
    }


def _samples(pipeline: Pipeline, data: Dataset, target: str, count: int, key: str) -> Gallery | None:
    """Samples of a target that is drawn, made from what rows of the data give that differ in it."""
    if pipeline.head_config(target).tells != "sample":
        return None
    rows, modality = given_rows(pipeline, data, target, count), pipeline.schema[target].modality
    made = [
        Made(number, 1, given_words(row), target, modality, answer[target])
        for number, (row, answer) in enumerate(zip(rows, pipeline.generate_each(rows, [target]), strict=True), start=1)
    ]
    exhibits = [exhibit(each, f"{key}-sample{each.row}") for each in made]
    return Gallery("Samples", "drawn from noise by what these rows give of the other columns", exhibits, modality == "series")


def _answer(evaluation: Evaluation, target: str, kind: Kind, floor: Mapping[str, Any]) -> dict[str, Any]:
    """The main figure beside the best answer that looks at nothing, in words and as places (in %) on a line."""
    metric = kind.main
    value, constant = evaluation.metrics[target][metric], floor[metric]
    low, high = evaluation.details["intervals"][target][metric]
    better, worse = (high < constant, low > constant) if kind.lower_is_better else (low > constant, high < constant)
    longest = 1.0 if kind.unit_of_one else max(high, constant) * 1.08 or 1.0
    return {
        "metric": NAMES[metric][0],
        "value": figure(value),
        "interval": f"{figure(low)}–{figure(high)}",
        "rows": len(evaluation.answers[target].truth),
        "constant": _constant(floor),
        "floor": figure(constant),
        "verdict": "better" if better else "worse" if worse else "level",
        "scale": {
            "end": "1" if kind.unit_of_one else "",
            **{k: round(100 * v / longest, 2) for k, v in {"value": value, "low": low, "high": high, "floor": constant}.items()},
        },
    }


def _constant(floor: Mapping[str, Any]) -> str:
    """What one does who looks at no input, in words."""
    said = shorten(floor["answer"], 80) if isinstance(floor["answer"], str) else figure(floor["answer"])
    return str(floor.get("how") or f"always answering “{said}”")


def _plots(evaluation: Evaluation, target: str, test: Mapping[str, Any], floor: float, kind: Kind, key: str) -> Iterator[dict[str, Any]]:
    """Plots of one target: title, note and drawing."""
    name, answers = NAMES[kind.main][0], evaluation.answers[target]
    if kind.main == "mae":
        yield from _number_plots(answers, target, key)
    ranks = kind.ranks(answers)
    if ranks is not None:
        note = "share of the rows whose own is among the first so many; the broken line is guessing"
        yield _plot("How soon it is found", note, plots.found_curve(ranks, kind.choices(answers), key=f"{key}-found"))
    if test:
        note = f"{test['rows']:,} rows; the whisker is the 95 % interval of the change"
        yield _plot("Does it use every column?", note, plots.shuffle_bars(test, floor, name, key=f"{key}-shuffle"))
    classes, confusion = evaluation.details["classes"].get(target), evaluation.details["confusion"].get(target)
    if classes:
        weakest = f"the {plots.MOST_BARS} weakest of {len(classes)}" if len(classes) > plots.MOST_BARS else "weakest first"
        yield _plot("F1 of each label", weakest, plots.class_bars(classes, key=f"{key}-f1"))
    if classes and confusion:
        drawn = plots.confusion_matrix(confusion["labels"], confusion["counts"], [c["rows"] for c in classes], key=f"{key}-confusion")
        yield _plot("Confusion matrix", "share of each true label (row) that got each answer (column)", drawn)


def _number_plots(answers: Answers, target: str, key: str) -> Iterator[dict[str, Any]]:
    truth, predicted = np.asarray(answers.truth, dtype=np.float64), np.asarray(answers.predicted, dtype=np.float64)
    low, high = central(np.concatenate([truth, predicted]))
    outside = int(((np.minimum(truth, predicted) < low) | (np.maximum(truth, predicted) > high)).sum())
    note = f"{len(truth):,} rows" + (f", {outside:,} of them outside the frame" if outside else "")
    yield _plot("Answer and truth", note, plots.truth_scatter(truth, predicted, target, key=f"{key}-scatter"))
    yield _plot("Errors", "to the right of 0 the answer is too high", plots.error_histogram(predicted - truth, target, key=f"{key}-errors"))


def _plot(title: str, note: str, svg: str) -> dict[str, Any]:
    return {"title": title, "note": note, "svg": svg}


def _facts(details: Mapping[str, Any], target: str, kind: Kind, floor: Mapping[str, Any]) -> list[Fact]:
    """Up to three figures to set the main one against."""
    facts = [Fact("a constant answer", figure(floor[kind.main]))]
    if found := details["subsets"].get(target):
        alone = [subset for subset in found["subsets"] if len(subset["known"]) == 1]
        best = (min if kind.lower_is_better else max)(alone, key=lambda subset: subset["value"])
        facts.append(Fact(f"the best column alone ({best['known'][0]})", figure(best["value"])))
    return facts


def _sections(details: Mapping[str, Any], target: str, name: str, key: str) -> Iterator[Section]:
    """The parts of the evaluation that were done for this target, each with what there is to look at."""
    if found := details["subsets"].get(target):
        yield subsets_section(found, name, key)
    if found := details["calibration"].get(target):
        yield calibration_section(target, found, f"{key}-calibration")
    if found := details["slices"].get(target):
        yield slices_section(target, found, name, key)
    if found := details["groups"].get(target):
        yield groups_section(target, found, {name: words for name, (words, _) in NAMES.items()}, key)
    if found := details["robustness"].get(target):
        yield robustness_section({target: found}, f"{key}-robustness")
    if found := details.get("against", {}).get(target):
        yield against_section(found)


def _metric_table(evaluation: Evaluation, target: str, splits: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row a metric, one value a split (None where a split was not judged by it), and the interval on the rows that were judged."""
    intervals = evaluation.details["intervals"][target]
    known = list(dict.fromkeys(name for metrics in splits.values() for name in metrics.get(target, {})))
    return [
        {
            "name": NAMES.get(name, (name, ""))[0],
            "meaning": NAMES.get(name, (name, ""))[1],
            "values": [m.get(target, {}).get(name) for m in splits.values()],
            "interval": " to ".join(figure(end) for end in intervals.get(name, [])),
        }
        for name in known
    ]


def _learning(history: Mapping[str, list[dict[str, Any]]], pipeline: Pipeline) -> list[dict[str, Any]]:
    """Learning curves, where there is something to draw."""
    drawn = []
    train, validation = history["train"], history["validation"]
    if train or validation:
        drawn.append(_plot("Loss", "what training makes small", plots.loss_curves(train, validation, key="loss")))
    for position, target in enumerate(pipeline.schema.targets):
        metric = kind_of(pipeline.head_config(target)).main
        if any(metric in (line.get("metrics") or {}).get(target, {}) for line in validation):
            svg = plots.metric_curve(validation, target, metric, NAMES[metric][0], key=f"curve{position}")
            drawn.append(_plot(f"{target}: {NAMES[metric][0]}", "on the validation split", svg))
    return drawn


def _model(pipeline: Pipeline, data: Dataset) -> dict[str, Any]:
    """Columns with what reads or answers them, fusion, and sizes."""
    schema, config, model = pipeline.schema, pipeline.config, pipeline.model
    absent, total = data.manifest.get("absent", {}), data.manifest.get("rows", 0)
    columns = []
    for name in schema.used:
        column, parts, weights = schema[name], [], 0
        if column.is_input:
            parts.append((*_part(config.encoder_of(name, column.modality)), "encoder"))
            weights += _count(model.encoders[name])
        if column.is_target:
            head = config.head_of(name, column.modality)
            parts.append((*_part(head), "head"))
            if head.encodes_target:
                parts.append((*_part(config.encoder_of(name, column.modality)), "encoder"))
            weights += _count(model.heads[name])
        share = absent.get(name, 0) / total if total else 0.0
        reads = _reads(pipeline.processors[name])
        columns.append(
            {
                "name": name,
                "modality": column.modality,
                "role": column.role,
                "reads": reads,
                "parts": parts,
                "weights": weights,
                "absent": share,
            }
        )
    fusion, options = _part(config.fusion)
    return {
        "columns": columns,
        "fusion": fusion,
        "options": options,
        "fusion_weights": _count(model.fusion),
        "weights": _count(model),
        "dim": config.dim,
    }


def _part(config: PartConfig) -> tuple[str, str]:
    """Name and options of a part, in words."""
    options = config.model_dump(mode="json", exclude={"name"})
    return config.name, ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in options.items() if value is not None)


def _reads(processor: Processor[Any]) -> str:
    spec = processor.spec
    if len(spec.shape) == 3:
        return f"{spec.shape[1]} × {spec.shape[2]} pixels, {'colour' if spec.shape[0] == 3 else 'grey'}"
    if spec.max_length:
        return f"{spec.size:,} tokens, at most {spec.max_length:,} long"
    return f"{spec.size:,} labels" if spec.size else "standardised"


def _count(module: Any) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _training(config: Mapping[str, Any], history: Mapping[str, list[dict[str, Any]]]) -> dict[str, str]:
    """How the model was trained, as far as the run says."""
    trained, recipe = config.get("trained") or {}, config.get("recipe") or {}
    facts: dict[str, str] = {}
    if isinstance(trained.get("seconds"), int | float):
        minutes, seconds = divmod(round(trained["seconds"]), 60)
        facts["time"] = (
            f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
        )
    for key, value in trained.items():
        if key != "seconds" and value is not None:
            facts[key.replace("_", " ")] = (
                f"{value:,}" if isinstance(value, int) else figure(value) if isinstance(value, float) else str(value)
            )
    speeds = [line["samples_per_s"] for line in history["train"] if isinstance(line.get("samples_per_s"), int | float)]
    if speeds:
        facts["rows a second (median)"] = f"{np.median(speeds):,.0f}"
    for key, value in _flat(recipe.get("train") or {}):
        facts.setdefault(key, value)
    return facts


def _flat(section: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Options of a section with their paths; the name of a part stands for the part."""
    for key, value in section.items():
        path = f"{before} {key}".strip().replace("_", " ") if key != "name" else before
        if isinstance(value, Mapping):
            yield from _flat(value, path)
        elif value is not None:
            yield path, str(value)


def _read(path: Path) -> dict[str, Any]:
    value = read_json(path, path.stem) if path.exists() else {}
    return value if isinstance(value, dict) else {}


def _read_history(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Lines of `history.jsonl` by kind and in order of steps; torn lines are skipped, repeated steps (of a resumed
    training) count once, the later.
    """
    kinds: dict[str, dict[Any, dict[str, Any]]] = {"train": {}, "validation": {}}
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n") if path.exists() else []:
        try:
            entry = json.loads(line)
            kinds[entry["kind"]][int(entry["step"])] = entry
        except (ValueError, KeyError, TypeError):
            continue
    return {kind: [entries[step] for step in sorted(entries)] for kind, entries in kinds.items()}
