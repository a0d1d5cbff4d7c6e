"""The pages are true: their code runs, their tables agree with the code, their links lead somewhere."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import numpy as np
import pytest
import yaml
from PIL import Image
from pydantic import BaseModel

import omnifuse
from omnifuse.core.registry import PartConfig, Registry
from omnifuse.core.schema import ROLES
from omnifuse.data.clean.config import CleanConfig
from omnifuse.data.config import DataConfig, SplitConfig
from omnifuse.data.join.config import Asof, Collect, JoinConfig, Window, WindowsConfig
from omnifuse.data.modalities import MODALITIES
from omnifuse.data.modalities.config import ModalityConfig
from omnifuse.data.sources.config import SOURCES
from omnifuse.evaluation.config import EvaluateConfig
from omnifuse.evaluation.kinds import every_metric
from omnifuse.model import ENCODERS, FUSIONS, HEADS
from omnifuse.model.config import ModelConfig
from omnifuse.model.presets import PRESETS
from omnifuse.train.config import OPTIMIZERS, DirectionsConfig, TrainConfig
from omnifuse.train.recipe import Recipe

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
REGISTRIES = [
    ("Modality", MODALITIES),
    ("Source", SOURCES),
    ("Encoder", ENCODERS),
    ("Fusion", FUSIONS),
    ("Head", HEADS),
    ("Preset", PRESETS),
    ("Optimizer", OPTIMIZERS),
]
SECTIONS: dict[str, type[BaseModel]] = {
    "Top level": Recipe,
    "`data`": DataConfig,
    "`data.split`": SplitConfig,
    "`data.clean`": CleanConfig,
    "`data.windows`": WindowsConfig,
    "`data.join`": JoinConfig,
    "`collect`": Collect,
    "`asof`": Asof,
    "`window`": Window,
    "Every modality": ModalityConfig,
    "`model`": ModelConfig,
    "`train`": TrainConfig,
    "`directions`": DirectionsConfig,
    "`evaluate`": EvaluateConfig,
    **{f"{kind} `{name}`": table[name].config for kind, table in REGISTRIES for name in table},
}


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def without_code(page: Path) -> str:
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def under(page: Path, heading: str) -> str:
    """The text between a heading and the next one."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", without_code(page), re.MULTILINE | re.DOTALL)
    assert found, f"{name_of(page)} has no heading “{heading}”"
    return found[1]


def rows_of(text: str) -> dict[str, list[str]]:
    """Rows of the tables in a text that begin with a word of code: by that word, the other cells."""
    rows = re.findall(r"^\| `([^`]+)` \| (.*) \|$", text, re.MULTILINE)
    return {name: [cell.strip() for cell in rest.split(" | ")] for name, rest in rows}


def shown(field: Any) -> str:
    """A default as the tables write it."""
    if field.is_required():
        return "required"
    value = field.default
    if isinstance(value, PartConfig):
        return f"`{value.name}`"
    if isinstance(value, BaseModel):
        return "section"
    value = list(value) if isinstance(value, tuple) else value
    word = yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("...\n").strip().replace("|", r"\|")
    return f"`{word}`"


def options_of(heading: str) -> dict[str, Any]:
    """The options that the table under a heading must show; what every modality has is shown once."""
    config = SECTIONS[heading]
    shared = set(ModalityConfig.model_fields) if issubclass(config, ModalityConfig) and config is not ModalityConfig else set()
    unseen = shared | {"name"} if heading != "Top level" else shared
    return {name: field for name, field in config.model_fields.items() if name not in unseen}


def choices(annotation: Any) -> Iterator[str]:
    """Words that a field's type allows."""
    if get_origin(annotation) is Literal:
        yield from map(str, get_args(annotation))
    else:
        for inner in get_args(annotation):
            yield from choices(inner)


def run_python(code: str, folder: Path) -> str:
    """Run a script in a process of its own, so that the parts it registers stay there."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def write_listings(path: Path, count: int, seed: int) -> None:
    """A made-up table of things for sale: photo (a path), description, price, city, sold."""
    random = np.random.default_rng(seed)
    for shade in range(4):
        Image.fromarray(np.full((16, 16, 3), 60 * shade, dtype=np.uint8)).save(path.parent / f"{shade}.png")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["photo", "description", "price", "city", "sold"])
        for number in range(count):
            shade, price = int(random.integers(4)), float(random.integers(10, 400))
            words = random.choice(["oak table, hardly used", "desk lamp that still works", "red bicycle for a child"])
            photo = "" if random.random() < 0.2 else f"{shade}.png"
            sold = "yes" if price < 200 else "no"
            writer.writerow([photo, f"{words}, lot {number}", price, random.choice(["Ghent", "Lyon"]), sold])


@pytest.fixture
def listings(tmp_path: Path) -> Path:
    write_listings(tmp_path / "listings.csv", 120, seed=0)
    write_listings(tmp_path / "new_listings.csv", 30, seed=1)
    return tmp_path


def test_the_python_of_the_readme_runs_on_a_made_up_table(listings: Path) -> None:
    (code,) = blocks(ROOT / "README.md", "python")
    output = run_python(code, listings)
    assert "For sold, the model" in output
    assert "'sold_probability'" in output


def test_the_five_commands_of_the_readme_run_one_after_another(listings: Path) -> None:
    block = next(block for block in blocks(ROOT / "README.md", "bash") if "omnifuse init" in block)
    commands = [line.partition("#")[0].split() for line in block.splitlines()]
    assert [command[1] for command in commands] == ["init", "prepare", "train", "evaluate", "predict"]
    script = [
        "import sys",
        "from omnifuse.cli.main import app",
        f"for command in {commands!r}:",
        "    app(command[1:], standalone_mode=False)",
    ]
    run_python("\n".join(script), listings)
    assert (listings / "runs/listings/report.html").is_file()
    assert (listings / "runs/listings/metrics.json").is_file()
    with (listings / "answers.csv").open(encoding="utf-8") as file:
        answers = list(csv.DictReader(file))
    assert len(answers) == 30
    assert {answer["predicted_sold"] for answer in answers} <= {"yes", "no"}


def write_drives(folder: Path) -> int:
    """Made-up sources of the recipe in the README: pictures of six drives, weather, a GPS whose clock is fast, an IMU; in any order."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(0)
    pictures: list[tuple[Any, ...]] = [("file", "drive", "time", "brakes")]
    gps: list[tuple[Any, ...]] = [("drive", "time", "speed")]
    imu: list[tuple[Any, ...]] = [("time", "drive", "ax", "ay", "az")]
    for drive in range(6):
        for second in range(1, 9):
            file = f"{drive}-{second}.png"
            Image.fromarray(random.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(folder / file)
            pictures.append((file, f"d{drive}", second, ("yes", "no")[second % 2]))
        gps += [(f"d{drive}", f"{step / 5 + 0.05:.2f}", f"{36 + step} km/h") for step in range(45)]
        imu += [(step / 100, f"d{drive}", *random.normal(size=3).round(3)) for step in range(900)]
    for name, (header, *rows) in {"pictures": pictures, "gps": gps, "imu": imu}.items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *(rows[place] for place in random.permutation(len(rows)))])
    weather = {"drive": [f"d{drive}" for drive in range(5)], "weather": ["rain", "sun", "sun", "snow", "rain"]}
    pq.write_table(pa.table(weather), folder / "drives.parquet")
    return len(pictures) - 1


def test_the_recipe_of_the_readme_prepares_what_it_says(tmp_path: Path) -> None:
    from omnifuse.train.fit import prepare_recipe

    rows = write_drives(tmp_path)
    (tmp_path / "recipe.yaml").write_text(blocks(ROOT / "README.md", "yaml")[0], encoding="utf-8")
    dataset = prepare_recipe(Recipe.load(tmp_path / "recipe.yaml"), tmp_path)
    assert len(dataset) == rows
    assert dataset.manifest["absent"] == {"camera": 0, "motion": 0, "speed": 0, "weather": rows // 6, "brakes": 0}
    moments = dataset.take(range(rows), ["motion", "speed", "brakes"])
    assert {speed - 36 for speed in moments["speed"]} == {5.0 * second for second in range(1, 9)}
    assert dataset.report().is_file()


def test_every_command_of_the_pages_has_the_options_that_are_written() -> None:
    import shlex

    from typer.main import get_command

    from omnifuse.cli.main import app

    for page in PAGES:
        for line in "".join(blocks(page, "bash")).splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] != ["omnifuse"]:
                continue
            command: Any = get_command(app)
            for word in words[1:]:
                if not hasattr(command, "commands"):
                    break
                assert word in command.commands, f"{name_of(page)}: {line}"
                command = command.commands[word]
            known = {option for parameter in command.params for option in parameter.opts}
            for word in words:
                assert not word.startswith("-") or word.partition("=")[0] in known, f"{name_of(page)}: {line}"


@pytest.mark.parametrize("page", [page for page in PAGES if "docs" in page.parts and blocks(page, "python")], ids=name_of)
def test_the_python_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    code = "\n".join(blocks(page, "python"))
    assert run_python(code, tmp_path) or "\nassert " in code, "the code shows nothing and checks nothing"


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "yaml")], ids=name_of)
def test_recipes_in_the_pages_are_valid(page: Path, tmp_path: Path) -> None:
    """Whole recipes, and parts of them, which are completed by a source and a column."""
    file = tmp_path / "recipe.yaml"
    for block in blocks(page, "yaml"):
        file.write_text(block, encoding="utf-8")
        missing = [] if re.search("^columns:", block, re.MULTILINE) else ["columns.size=number"]
        missing += [] if re.search(r"^data:[^#]*source:|^  source:", block, re.MULTILINE) else ["data.source=listings.csv"]
        assert Recipe.load(file, missing).columns


def test_every_registered_part_and_section_has_its_table_of_options() -> None:
    headings = re.findall(r"^#+ (.*)$", without_code(ROOT / "docs/recipe.md"), re.MULTILINE)
    parts = {heading for heading in headings if heading.partition(" ")[0] in {kind for kind, _ in REGISTRIES}}
    assert parts == {f"{kind} `{name}`" for kind, table in REGISTRIES for name in table}
    assert set(SECTIONS) <= set(headings)


@pytest.mark.parametrize("heading", SECTIONS)
def test_the_options_of_a_section_are_all_there_with_their_defaults(heading: str) -> None:
    fields = options_of(heading)
    text = under(ROOT / "docs/recipe.md", heading)
    rows = rows_of(text)
    assert {name: cells[0] for name, cells in rows.items()} == {name: shown(field) for name, field in fields.items()}
    for name, field in fields.items():
        for choice in choices(field.annotation):
            assert f"`{choice}`" in " ".join(rows[name]), f"{heading}, {name}: the choice {choice} is not mentioned"
    if not fields:
        assert "No options." in text


def test_the_options_that_read_values_are_marked_and_so_are_the_modalities_without_absent_words() -> None:
    page = ROOT / "docs/recipe.md"
    for name in MODALITIES:
        config = MODALITIES[name].config
        assert issubclass(config, ModalityConfig)
        marked = {option for option, cells in rows_of(under(page, f"Modality `{name}`")).items() if "*read*" in cells[1]}
        assert marked == set(config.reads), name
    meaning = rows_of(under(page, "Every modality"))["absent"][1]
    without = {name for name in MODALITIES if not MODALITIES[name].config.model_fields["absent"].default}
    assert set(re.findall(r"`(\w+)`", meaning)) == without


def test_every_role_and_metric_is_named_among_the_options() -> None:
    text = (ROOT / "docs/recipe.md").read_text(encoding="utf-8")
    for word in [*ROLES, *every_metric()]:
        assert f"`{word}`" in text, word


def test_every_part_is_named_in_both_readmes() -> None:
    for page in (ROOT / "README.md", ROOT / "README.zh-CN.md"):
        text = page.read_text(encoding="utf-8")
        for table in (MODALITIES, ENCODERS, FUSIONS, HEADS):
            for name in table:
                assert f"`{name}`" in text, f"{page.name}: {name}"


def test_the_index_of_fusions_leads_to_the_page_of_each() -> None:
    rows = re.findall(r"^\| \[`(\w+)`\]\(fusions/(\w+)\.md\) \|", (ROOT / "docs/fusions.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [(name, name) for name in FUSIONS]


def test_the_map_names_every_package_and_nothing_that_is_not_there() -> None:
    text = (ROOT / "docs/map.md").read_text(encoding="utf-8")
    package = Path(omnifuse.__file__).parent
    rooms = {f"omnifuse/{init.parent.relative_to(package)}/" for init in package.rglob("__init__.py") if init.parent != package}
    assert set(re.findall(r"^\| `(omnifuse/[\w/]+/)` \|", text, re.MULTILINE)) == rooms
    for path in re.findall(r"`((?:omnifuse|tests|docs|benchmarks)/[\w./]*)`", text):
        assert (ROOT / path).exists(), path
    for room, rest in re.findall(r"^\| `(omnifuse/[\w/]+/)` \|(.*)$", text, re.MULTILINE):
        for file in re.findall(r"`(\w+\.py)`", rest):
            assert (ROOT / room / file).is_file(), f"{room}{file}"


def test_paths_in_the_pages_exist() -> None:
    for page in PAGES:
        for path in re.findall(r"`(omnifuse/[\w./]*|tests/[\w./]*)`", without_code(page)):
            assert (ROOT / path).exists(), f"{name_of(page)}: {path}"


def test_links_between_the_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page)):
            if re.match(r"https?://", target):
                continue
            path, _, anchor = target.partition("#")
            place = (page.parent / path) if path else page
            assert place.exists(), f"{name_of(page)}: {target}"
            if anchor:
                headings = re.findall(r"^#+ (.*)$", without_code(place), re.MULTILINE)
                anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
                assert anchor in anchors, f"{name_of(page)}: {target}"


def test_the_two_readmes_show_the_same_code_and_link_to_the_same_pages() -> None:
    english, chinese = ROOT / "README.md", ROOT / "README.zh-CN.md"
    for language in ("python", "bash", "yaml"):
        assert blocks(english, language) == blocks(chinese, language)
    links = [set(re.findall(r"\]\(([^)\s]+)\)", without_code(page))) - {"README.md", "README.zh-CN.md"} for page in (english, chinese)]
    assert links[0] == links[1]


def test_the_map_and_contributing_agree_with_the_import_contract() -> None:
    import tomllib

    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    order = " > ".join(layer.replace("omnifuse.", "").replace(" | ", ", ") for layer in layers)
    assert f"`{order}`" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_decisions_are_numbered_without_gaps() -> None:
    pages = sorted((ROOT / "docs/decisions").glob("*.md"))
    for number, page in enumerate(pages, start=1):
        assert page.name.startswith(f"{number:04d}-")
        assert page.read_text(encoding="utf-8").startswith(f"# {number}. ")


def test_registries_are_known_to_this_test() -> None:
    """A new kind of part must get a place in recipe.md; this test must know it."""
    from importlib import import_module

    known = {id(table) for _, table in REGISTRIES}
    package = Path(omnifuse.__file__).parent
    for file in package.rglob("config.py"):
        module = import_module(".".join(["omnifuse", *file.relative_to(package).with_suffix("").parts]))
        for value in vars(module).values():
            assert not isinstance(value, Registry) or id(value) in known, f"{module.__name__}: a table of {value.kind}s"
