"""`omnifuse annotate`: labels made by people and by rules, and which of them to doubt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from omnifuse.cli.options import RecipeFile, RunFolder, Settings

if TYPE_CHECKING:
    from omnifuse.data.annotate.agreement import Agreement
    from omnifuse.data.annotate.tasks import Exported

app = typer.Typer(no_args_is_help=True, help="Label rows with Label Studio or by rules; doubt labels; choose what to label next.")

Labels = Annotated[list[str], typer.Option("--label", help="A label to choose from, beside those of the dataset. May be repeated.")]
Out = Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder to make.")]
Column = Annotated[str | None, typer.Option("--column", help="Which column, where there are several.")]
Columns = Annotated[list[str], typer.Option("--column", help="What to ask for, in place of the targets. May be repeated.")]
Root = Annotated[Path | None, typer.Option("--root", help="Folder of relative media paths; that of the table by default.")]
Tasks = Annotated[Path | None, typer.Option("--tasks", metavar="FOLDER", help="The folder of `omnifuse annotate export`.")]
KindOption = Annotated[str | None, typer.Option("--kind", help="What a label is: category, set or number. Told by --tasks.")]
Method = Annotated[str, typer.Option("--method", help="majority, wawa, dawid-skene, one-coin, mace or glad.")]
Votes = Annotated[Path, typer.Argument(metavar="VOTES", help="votes.csv with the columns id, annotator, label (and column).")]


@app.command("export", no_args_is_help=True)
def export(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A recipe, a prepared dataset, or a trained run.")],
    out: Out,
    table: Annotated[Path | None, typer.Option("--table", help="Rows to label that are not in the dataset.")] = None,
    run: Annotated[Path | None, typer.Option("--run", metavar="RUN", help="A trained run whose answers are suggested.")] = None,
    column: Columns = [],  # noqa: B006 (typer copies it)
    label: Labels = [],  # noqa: B006
    rows: Annotated[Path | None, typer.Option("--rows", help="Only these rows: a CSV file with a column id, or one id a line.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many rows.")] = None,
    inline: Annotated[bool, typer.Option("--inline", help="Put pictures and sounds into tasks.json, so that no file is served.")] = False,
    root: Root = None,
) -> None:
    """Write tasks for Label Studio: rows with their media, and what a model would say."""
    from omnifuse.cli.annotate_sources import open_rows
    from omnifuse.cli.progress import console
    from omnifuse.data.annotate.rows import only, read_ids
    from omnifuse.data.annotate.tasks import export_tasks

    opened = open_rows(source, table, run, root)
    suggest = None
    if opened.pipeline is not None:
        from omnifuse.study.suggest import suggestions

        suggest = suggestions(opened.pipeline)
    chunks = only(opened.chunks(), read_ids(rows) if rows else None, limit)
    labels = opened.labels(column or opened.schema.targets, label)
    model = run.resolve().name if run else source.resolve().name
    done = export_tasks(chunks, opened.schema, out, columns=column, labels=labels, suggest=suggest, model=model, inline=inline)
    console.print(f"{done.tasks:,} tasks about {', '.join(done.asked)}, {done.files:,} media files, {done.suggested:,} suggestions")
    for reason in opened.bad[:3]:
        console.print(f"left out: {reason}")
    console.print(f"Tasks: {done.folder}. Next: see {done.folder / 'README.txt'}")


@app.command("import", no_args_is_help=True)
def import_(
    exported: Annotated[Path, typer.Argument(metavar="EXPORT", help="What Label Studio exported as JSON or JSON-MIN.")],
    tasks: Annotated[Path, typer.Option("--tasks", metavar="FOLDER", help="The folder of `omnifuse annotate export`.")],
    out: Out,
) -> None:
    """Read annotations from Label Studio: votes.csv, and how far annotators agree."""
    from omnifuse.cli.progress import console
    from omnifuse.core.errors import OmnifuseError
    from omnifuse.data.annotate.agreement_page import write_agreement
    from omnifuse.data.annotate.annotations import import_annotations
    from omnifuse.data.annotate.kinds import measure_columns
    from omnifuse.data.annotate.report import new_folder
    from omnifuse.data.annotate.tasks import Exported
    from omnifuse.data.annotate.votes import write_votes

    new_folder(out)
    made = Exported.open(tasks)
    found = import_annotations(exported, made.schema, columns=made.asked, rows=set(made.rows), labels=made.labels)
    if not found.votes:
        raise OmnifuseError(f"{exported}: holds no answer that counts ({found.cancelled} skipped, {len(found.foreign)} about unknown rows)")
    write_votes(found.votes, out / "votes.csv")
    measured = measure_columns(found.votes, exported=made)
    report = write_agreement(measured, out, made.words(), found)
    left_out = (
        f"; left out: {found.cancelled:,} skipped, {len(found.unreadable):,} that do not fit, {len(found.foreign):,} about unknown rows"
    )
    console.print(f"{len(found.votes):,} answers about {found.annotated:,} of {len(made.rows):,} rows{left_out}")
    _say_agreement(measured)
    console.print(f"Votes: {out / 'votes.csv'}. Report: {report}")


@app.command("agreement", no_args_is_help=True)
def agreement(votes: Votes, out: Out, column: Column = None, kind: KindOption = None, tasks: Tasks = None) -> None:
    """Measure how far annotators agree: percent, Cohen, Fleiss, Krippendorff."""
    from omnifuse.cli.progress import console
    from omnifuse.data.annotate.agreement_page import write_agreement
    from omnifuse.data.annotate.kinds import measure_columns
    from omnifuse.data.annotate.report import new_folder
    from omnifuse.data.annotate.votes import read_votes

    new_folder(out)
    made = _exported(tasks)
    measured = measure_columns(read_votes(votes), column, kind, made)
    report = write_agreement(measured, out, made.words() if made else None)
    _say_agreement(measured)
    console.print(f"Report: {report}")


@app.command("combine", no_args_is_help=True)
def combine(
    votes: Votes, out: Out, method: Method = "dawid-skene", column: Column = None, kind: KindOption = None, tasks: Tasks = None
) -> None:
    """Make one label of several noisy ones: labels.csv, and how far each annotator is to be trusted."""
    from omnifuse.cli.progress import console
    from omnifuse.data.annotate.combine import combine_votes
    from omnifuse.data.annotate.combined_page import write_combined
    from omnifuse.data.annotate.kinds import by_column, kind_of
    from omnifuse.data.annotate.report import new_folder
    from omnifuse.data.annotate.votes import read_votes

    new_folder(out)
    made = _exported(tasks)
    combined = {
        name: combine_votes(each, method, kind_of(name, each, kind, made)) for name, each in by_column(read_votes(votes), column).items()
    }
    report = write_combined(combined, out, made.table() if made else {})
    for name, each in combined.items():
        worst = f"; least to be trusted: {each.skills[-1].annotator} ({each.skills[-1].skill:.2f})" if each.skills else ""
        console.print(f"{name}: {len(each.labels):,} rows labelled by {each.method} from {len(each.skills)} annotators{worst}")
    console.print(f"Labels: {out / 'labels.csv'}. Report: {report}")


@app.command("rules", no_args_is_help=True)
def rules(
    file: Annotated[Path, typer.Argument(metavar="RULES", help="A YAML file of rules; docs/annotation.md shows one.")],
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="The rows to label.")],
    out: Out,
    method: Method = "dawid-skene",
) -> None:
    """Label rows by rules that vote or abstain: labels.csv, and coverage, overlaps and conflicts of each rule."""
    from omnifuse.cli.progress import console
    from omnifuse.data.annotate.by_rules import label_by_rules
    from omnifuse.data.annotate.report import new_folder

    new_folder(out)
    done = label_by_rules(file, table, out, method)
    for facts in done.facts:
        console.print(f"{facts.name}: votes on {facts.coverage:.1%}, contradicted on {facts.conflicts:.1%}")
    console.print(f"{done.labelled:,} of {done.rows:,} rows have a label. Labels: {out / 'labels.csv'}. Report: {done.report}")


@app.command("errors", no_args_is_help=True)
def errors(
    recipe: RecipeFile,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Folder of the study; one that was stopped goes on.")],
    column: Column = None,
    folds: Annotated[int, typer.Option("--folds", min=2, max=100, help="How many models are trained.")] = 5,
    settings: Settings = [],  # noqa: B006 (typer copies it)
) -> None:
    """Find labels that are likely wrong, by models of the recipe that have not seen them."""
    from omnifuse.cli.progress import console, counting
    from omnifuse.study.label_errors import check_cleanlab, find_label_errors
    from omnifuse.study.pages import write_label_errors
    from omnifuse.train.fit import prepare_recipe
    from omnifuse.train.recipe import Recipe

    check_cleanlab()
    loaded = Recipe.load(recipe, settings)
    with counting("reading") as progress:
        dataset = prepare_recipe(loaded, recipe.parent, progress=progress)
    found = find_label_errors(dataset, loaded, out, target=column, folds=folds, observer=_Lines())
    report = write_label_errors(found, dataset, out)
    console.print(f"{found.target}: {len(found.issues):,} of {found.rows:,} labels are likely wrong ({len(found.issues) / found.rows:.1%})")
    worst = found.issues[:5]
    for issue, origin in zip(worst, dataset.origins([issue.place for issue in worst]), strict=True):
        console.print(f"  {origin}: {issue.given} → {issue.suggested} (quality {issue.quality:.4f})")
    console.print(f"All: {out / 'label_errors.csv'}. Report: {report}")


@app.command("next", no_args_is_help=True)
def next_(
    run: RunFolder,
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="Rows that are not labelled.")],
    out: Out,
    count: Annotated[int, typer.Option("--count", min=1, help="How many rows to choose.")] = 100,
    strategy: Annotated[str, typer.Option("--strategy", help="both, entropy, margin, least_confidence or diversity.")] = "both",
    root: Root = None,
) -> None:
    """Choose the rows that are worth labelling next: those the model is unsure of, and unlike each other."""
    from omnifuse.cli.annotate_sources import open_rows
    from omnifuse.cli.progress import console, counting
    from omnifuse.data.annotate.report import new_folder
    from omnifuse.data.annotate.rows import Chunk, gather
    from omnifuse.study.next_rows import choose_rows, known_embeddings, read_pool
    from omnifuse.study.pages import write_next_rows

    new_folder(out)
    opened = open_rows(run, table, run, root)
    assert opened.pipeline is not None, "a run was opened"

    def counted() -> Any:
        for chunk in opened.chunks():
            progress(len(chunk))
            yield chunk

    with counting("asking the model") as progress:
        pool = read_pool(opened.pipeline, counted())
    known = known_embeddings(opened.pipeline, opened.dataset) if opened.dataset else None
    choices = choose_rows(pool, count, strategy=strategy, known=known)
    bad = list(opened.bad)
    chunk: Chunk = gather(opened.chunks(), [pool.ids[choice.place] for choice in choices])
    report = write_next_rows(pool, choices, chunk, opened.schema, out, strategy, bad)
    console.print(f"{len(choices):,} of {len(pool.ids):,} rows chosen; {len(bad):,} could not be read")
    console.print(f"Rows: {out / 'next.csv'}. Report: {report}")


class _Lines:
    """Tells of several trainings in one line each; a bar a model would fill the screen."""

    def started(self, total_steps: int, done: int, batch_size: int) -> None:
        """Nothing."""

    def stepped(self, step: int, loss: float | None) -> None:
        """Nothing."""

    def validated(self, entry: dict[str, Any]) -> None:
        """Nothing."""

    def said(self, message: str) -> None:
        """A line."""
        from omnifuse.cli.progress import console

        console.print(message)


def _exported(tasks: Path | None) -> Exported | None:
    from omnifuse.data.annotate.tasks import Exported

    return Exported.open(tasks) if tasks else None


def _say_agreement(measured: dict[str, Agreement]) -> None:
    from omnifuse.cli.progress import console
    from omnifuse.data.annotate.agreement_page import agreement_words

    for column, each in measured.items():
        for sentence in agreement_words(each):
            console.print(f"{column}: {sentence}")
