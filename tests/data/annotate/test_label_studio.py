"""Out to Label Studio and back: tasks as it reads them, exports as it writes them."""

from __future__ import annotations

import base64
import csv
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from omnifuse.core.errors import OmnifuseError
from omnifuse.core.schema import Schema
from omnifuse.data.annotate import showing
from omnifuse.data.annotate.annotations import Imported, import_annotations
from omnifuse.data.annotate.label_studio import ROW, asked_tags, shown_tags
from omnifuse.data.annotate.rows import Chunk, dataset_chunks, only, table_chunks
from omnifuse.data.annotate.tasks import Export, Exported, Suggestion, export_tasks
from omnifuse.data.config import DataConfig
from omnifuse.data.modalities.config import MODALITIES, column_config
from omnifuse.data.prepare import prepare
from omnifuse.data.table import read_table
from tests.conftest import colour_rows

COLUMNS: dict[str, Any] = {
    "picture": {"modality": "image", "size": 8},
    "question": "text",
    "size": "number",
    "answer": {"modality": "category", "role": "target"},
    "price": {"modality": "number", "role": "target"},
}
SCHEMA = Schema.parse(COLUMNS)
LABELS = {"answer": ["no", "yes"]}


def chunks_of(folder: Path, rows: list[dict[str, Any]], schema: Schema = SCHEMA) -> list[Chunk]:
    return list(table_chunks(read_table(rows), schema, folder))


@pytest.fixture
def exported(tmp_path: Path) -> tuple[Path, list[dict[str, Any]]]:
    """The folder of an export, and its tasks."""
    rows = colour_rows(tmp_path / "pictures", 12, absent=0.2)
    export_tasks(chunks_of(tmp_path / "pictures", rows), SCHEMA, tmp_path / "tasks", labels=LABELS)
    return tmp_path / "tasks", json.loads((tmp_path / "tasks" / "tasks.json").read_text())


def annotated(tasks: list[dict[str, Any]], annotations: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Tasks as Label Studio's JSON export gives them back."""
    return [
        {
            "id": 100 + number,
            "data": task["data"],
            "annotations": each,
            "predictions": task.get("predictions", []),
            "drafts": [],
            "project": 7,
            "total_annotations": len(each),
            "created_at": "2026-11-23T10:00:00.000000Z",
        }
        for number, (task, each) in enumerate(zip(tasks, annotations, strict=True))
    ]


def annotation(who: Any, answers: dict[str, Any], **more: Any) -> dict[str, Any]:
    """One annotation; answers by name of the control tag, each a result's value."""
    kinds = {"choices": "choices", "number": "number", "text": "textarea", "datetime": "datetime"}
    result = [
        {"id": f"x{i}", "from_name": name, "to_name": ROW, "type": kinds[next(iter(value))], "value": value, "origin": "manual"}
        for i, (name, value) in enumerate(answers.items())
    ]
    common = {"was_cancelled": False, "ground_truth": False, "updated_at": "2026-11-23T11:00:00Z", "lead_time": 4.2}
    return {"id": 1, "completed_by": who, "result": result, **common, **more}


def write(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def imported(folder: Path, export: Any, **more: Any) -> Imported:
    made = Exported.open(folder)
    path = write(folder.parent / "export.json", export)
    return import_annotations(path, made.schema, columns=made.asked, rows=set(made.rows), labels=made.labels, **more)


def test_the_labeling_config_shows_inputs_and_asks_for_targets(exported: tuple[Path, list[dict[str, Any]]]):
    view = ElementTree.parse(exported[0] / "labeling_config.xml").getroot()
    assert view.tag == "View"
    objects = [element for element in view if element.get("name") and not element.get("toName")]
    shown = {element.get("name"): (element.tag, element.get("value")) for element in objects}
    assert shown["picture"] == ("Image", "$picture")
    assert shown["question"] == ("Text", "$question")
    assert shown["size"] == ("Text", "$size")
    asked = {element.get("name"): element for element in view if element.get("toName")}
    assert set(asked) == {"answer", "price"}
    assert asked["answer"].tag == "Choices"
    assert [choice.get("value") for choice in asked["answer"]] == ["no", "yes"]
    assert asked["price"].tag == "Number"
    assert all(element.get("toName") in shown for element in asked.values()), "answers are tied to something that is shown"


def test_tasks_hold_what_is_shown_and_never_the_target(exported: tuple[Path, list[dict[str, Any]]]):
    folder, tasks = exported
    for task in tasks:
        assert set(task["data"]) == {ROW, "picture", "question", "size"}
        where = task["data"]["picture"]
        if where:
            address = urlparse(where)
            assert address.path == "/data/local-files/"
            assert (folder.parent / parse_qs(address.query)["d"][0]).is_file(), "served from the folder above the export"
    assert any(not task["data"]["picture"] for task in tasks), "an absent picture stays absent"
    assert len({task["data"][ROW] for task in tasks}) == len(tasks)


def test_pictures_can_stand_in_the_tasks_themselves(tmp_path: Path):
    rows = colour_rows(tmp_path, 3)
    done = export_tasks(chunks_of(tmp_path, rows), SCHEMA, tmp_path / "out", labels=LABELS, inline=True)
    first = json.loads((tmp_path / "out" / "tasks.json").read_text())[0]["data"]["picture"]
    assert first.startswith("data:image/png;base64,")
    assert base64.b64decode(first.partition(",")[2]) == (tmp_path / rows[0]["picture"]).read_bytes()
    assert done.files == 0


def test_suggestions_are_predictions_with_version_and_score(tmp_path: Path):
    def suggest(rows: Any) -> list[dict[str, Suggestion]]:
        return [{"answer": Suggestion("yes", 0.9), "price": Suggestion(12.5, float("nan"))} for _ in range(len(rows))]

    done = export_tasks(
        chunks_of(tmp_path, colour_rows(tmp_path, 4)), SCHEMA, tmp_path / "out", labels=LABELS, suggest=suggest, model="runs/one"
    )
    assert done.suggested == done.tasks
    prediction = json.loads((tmp_path / "out" / "tasks.json").read_text())[0]["predictions"][0]
    assert (prediction["model_version"], prediction["score"]) == ("runs/one", 0.9)
    assert {result["from_name"] for result in prediction["result"]} == {"answer", "price"}
    assert {result["to_name"] for result in prediction["result"]} == {ROW}
    values = {result["from_name"]: (result["type"], result["value"]) for result in prediction["result"]}
    assert values["answer"] == ("choices", {"choices": ["yes"]})
    assert values["price"] == ("number", {"number": 12.5})


def test_a_round_trip_gives_exactly_the_labels(exported: tuple[Path, list[dict[str, Any]]]):
    folder, tasks = exported
    answers = [("yes" if i % 3 else "no", i + 0.25) for i in range(len(tasks))]
    export = annotated(tasks, [[annotation(5, {"answer": {"choices": [said]}, "price": {"number": price}})] for said, price in answers])
    found = imported(folder, export)
    by_row = {(vote.row, vote.column): vote.label for vote in found.votes}
    for task, (said, price) in zip(tasks, answers, strict=True):
        assert by_row[task["data"][ROW], "answer"] == said
        assert float(by_row[task["data"][ROW], "price"]) == price
    assert len(found.votes) == 2 * len(tasks)
    assert {vote.annotator for vote in found.votes} == {"5"}


def test_several_annotators_skipped_repeated_and_true_answers(exported: tuple[Path, list[dict[str, Any]]]):
    folder, tasks = exported
    yes, no = {"answer": {"choices": ["yes"]}}, {"answer": {"choices": ["no"]}}
    export = annotated(
        tasks[:3],
        [
            [
                annotation({"id": 1, "email": "ann@example.org"}, yes),
                annotation({"id": 2, "email": "bob@example.org"}, no, ground_truth=True),
                annotation(3, no, was_cancelled=True),
            ],
            [annotation(1, no, updated_at="2026-11-23T12:00:00Z"), annotation(1, yes, updated_at="2026-11-23T09:00:00Z")],
            [annotation(4, {})],
        ],
    )
    found = imported(folder, export)
    first, second = tasks[0]["data"][ROW], tasks[1]["data"][ROW]
    votes = {(vote.row, vote.annotator): vote for vote in found.votes}
    assert set(votes) == {(first, "ann@example.org"), (first, "bob@example.org"), (second, "1")}
    assert votes[first, "bob@example.org"].ground_truth
    assert not votes[first, "ann@example.org"].ground_truth
    assert votes[second, "1"].label == "no", "the later answer of one annotator counts"
    assert (found.tasks, found.annotated, found.cancelled, found.replaced) == (3, 2, 1, 1)
    assert found.empty == 5, "three prices left open by those who answered, and both columns by annotator 4"


def test_json_min_gives_the_same_votes(exported: tuple[Path, list[dict[str, Any]]]):
    """A record for each annotation; one choice is a word, a number a list of one mapping."""
    folder, tasks = exported
    common = {"annotation_id": 3, "created_at": "2026-11-23T11:00:00Z", "updated_at": "2026-11-23T11:00:00Z", "lead_time": 2.0}
    records = [
        {**task["data"], "id": 9 + i, "answer": "yes", "price": [{"number": 3}], "annotator": who, **common}
        for i, task in enumerate(tasks[:4])
        for who in (1, 2)
    ]
    full = annotated(
        tasks[:4], [[annotation(who, {"answer": {"choices": ["yes"]}, "price": {"number": 3}}) for who in (1, 2)] for _ in range(4)]
    )
    assert imported(folder, records).votes == imported(folder, full).votes
    assert len(imported(folder, records).votes) == 16


def test_answers_that_do_not_fit_are_told_and_left_out(exported: tuple[Path, list[dict[str, Any]]]):
    folder, tasks = exported
    export = annotated(
        tasks[:2],
        [
            [annotation(1, {"answer": {"choices": ["yes", "no"]}, "price": {"number": "much"}})],
            [annotation(1, {"answer": {"choices": ["perhaps"]}, "price": {"number": 1}})],
        ],
    )
    export.append({"data": {**tasks[2]["data"], ROW: "elsewhere"}, "annotations": [annotation(1, {"answer": {"choices": ["yes"]}})]})
    found = imported(folder, export)
    assert {(row, column) for row, column, _ in found.unreadable} == {(tasks[0]["data"][ROW], name) for name in ("answer", "price")}
    assert found.foreign == ["elsewhere"]
    assert found.new_labels == {"answer": {"perhaps": 1}}
    assert [(vote.column, vote.label) for vote in found.votes] == [("answer", "perhaps"), ("price", "1")]


def test_sets_texts_and_dates_round_trip(tmp_path: Path):
    schema = Schema.parse(
        {
            "note": "text",
            "tags": {"modality": "set", "role": "target"},
            "title": {"modality": "text", "role": "target"},
            "when": {"modality": "datetime", "role": "target"},
        }
    )
    export_tasks(chunks_of(tmp_path, [{"note": "a"}, {"note": "b"}], schema), schema, tmp_path / "out", labels={"tags": ["x", "y"]})
    tasks = json.loads((tmp_path / "out" / "tasks.json").read_text())
    answers = {"tags": {"choices": ["y", "x"]}, "title": {"text": ["Two\nlines"]}, "when": {"datetime": "2026-11-23"}}
    found = imported(tmp_path / "out", annotated(tasks, [[annotation(1, answers)], [annotation(1, {"title": {"text": "plain"}})]]))
    said = {(vote.row, vote.column): vote.label for vote in found.votes}
    first, second = (task["data"][ROW] for task in tasks)
    assert json.loads(said[first, "tags"]) == ["x", "y"]
    assert said[first, "title"] == "Two\nlines"
    assert said[first, "when"] == "2026-11-23"
    assert json.loads(said[second, "tags"]) == [], "nothing ticked is the empty set"
    assert said[second, "title"] == "plain"
    assert (second, "when") not in said


def test_odd_column_names_have_tags_of_their_own():
    schema = Schema.parse(
        {"id": "text", "why not?": "text", "why_not": "text", "颜色": "text", "1st": {"modality": "category", "role": "target"}}
    )
    names = [tag.name for tag in [*shown_tags(schema), *asked_tags(schema)]]
    assert len(set(names)) == 5
    assert "id" not in names, "JSON-MIN puts the number of the task there"
    assert all(name.isidentifier() and name.isascii() for name in names)


def test_equal_rows_become_one_task_and_ids_do_not_depend_on_the_order(tmp_path: Path):
    rows = colour_rows(tmp_path, 10)
    ids = [row for chunk in chunks_of(tmp_path, [*rows, rows[0]]) for row in chunk.ids]
    back = [row for chunk in chunks_of(tmp_path, rows[::-1]) for row in chunk.ids]
    assert len(ids) == len(set(ids))
    assert sorted(ids) == sorted(back)


def test_rows_that_cannot_be_read_are_left_out_and_told(tmp_path: Path):
    rows = colour_rows(tmp_path, 6)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    bad: list[str] = []
    rows[2] = {**rows[2], "picture": "broken.png"}
    found = list(table_chunks(read_table(rows), SCHEMA, tmp_path, None, bad))
    assert sum(map(len, found)) == 5
    assert len(bad) == 1
    assert "row 3, column picture" in bad[0]
    with pytest.raises(OmnifuseError, match="row 3"):
        list(table_chunks(read_table(rows), SCHEMA, tmp_path))


def test_rows_of_a_dataset_are_exported_with_files_that_can_be_prepared_again(tmp_path: Path):
    rows = colour_rows(tmp_path / "pictures", 20)
    dataset = prepare(rows, SCHEMA, DataConfig(source="given"), store=tmp_path / "store", root=tmp_path / "pictures")
    wanted = dataset.ids()[3:6]
    done = export_tasks(only(dataset_chunks(dataset), wanted), SCHEMA, tmp_path / "out", labels=LABELS)
    assert done.tasks == 3
    with (tmp_path / "out" / "rows.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["id"] for line in lines] == wanted
    assert all((tmp_path / "out" / line["picture"]).is_file() for line in lines)
    again = prepare(
        str(tmp_path / "out" / "rows.csv"),
        SCHEMA,
        DataConfig(source="", split={"validation": 0, "test": 0}),
        store=tmp_path / "again",  # pyright: ignore[reportArgumentType]
    )
    assert len(again) == 3
    with pytest.raises(OmnifuseError, match="1 of 1 ids are not in these rows, such as nowhere"):
        list(only(dataset_chunks(dataset), ["nowhere"]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a JSON export"),
        ("[]", "not a JSON export"),
        ("[1]", "not a JSON export"),
        ('[{"data": {"text": "x"}, "annotations": []}]', f"task 1 has no {ROW}"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path: Path, text: str, message: str):
    (tmp_path / "export.json").write_text(text)
    with pytest.raises(OmnifuseError, match=message):
        import_annotations(tmp_path / "export.json", SCHEMA)


def test_what_cannot_be_exported_says_why(tmp_path: Path):
    rows = chunks_of(tmp_path, [{"question": "a"}])
    with pytest.raises(OmnifuseError, match="no label is known"):
        export_tasks(rows, SCHEMA, tmp_path / "a")
    with pytest.raises(OmnifuseError, match=r"--label$"):
        export_tasks(rows, SCHEMA, tmp_path / "a")
    with pytest.raises(OmnifuseError, match=r"columns\.picture: nobody can type in"):
        export_tasks(rows, SCHEMA, tmp_path / "b", columns=["picture"])
    (tmp_path / "there").mkdir()
    with pytest.raises(OmnifuseError, match="is there already"):
        export_tasks(rows, SCHEMA, tmp_path / "there", labels=LABELS)
    assert not (tmp_path / "a").exists()


def test_a_picture_that_browsers_do_not_show_becomes_one_that_they_do(tmp_path: Path):
    Image.fromarray(np.full((6, 4, 3), 90, np.uint8)).save(tmp_path / "scan.tiff")
    rows = [{"picture": "scan.tiff", "question": "q"}]
    done: Export = export_tasks(chunks_of(tmp_path, rows), SCHEMA, tmp_path / "out", labels=LABELS)
    assert done.files == 1
    (written,) = (tmp_path / "out" / "media").iterdir()
    assert written.suffix == ".png"
    with Image.open(written) as image:
        assert image.size == (4, 6)


def test_sounds_series_and_clouds_are_shown(tmp_path: Path):
    """A sound is a file, a series stands in the task, a cloud is a picture from above; absent ones are empty."""
    from omnifuse.data.decode.points import encode_points
    from omnifuse.data.decode.wave_file import encode_wav

    cloud = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    (tmp_path / "cloud.pcd").write_bytes(encode_points(("x", "y", "z", "intensity"), cloud))
    (tmp_path / "word.wav").write_bytes(encode_wav(np.zeros(800, dtype=np.float32), 8000))
    (tmp_path / "gait.csv").write_text("time,left,right\n0,1,2\n0.5,,4\n")
    schema = Schema.parse(
        {
            "sound": "audio",
            "gait": {"modality": "series", "time": "time"},
            "cloud": "points",
            "who": {"modality": "category", "role": "target"},
        }
    )
    rows = [{"sound": "word.wav", "gait": "gait.csv", "cloud": "cloud.pcd"}, {"sound": "word.wav", "gait": None, "cloud": None}]
    export_tasks(chunks_of(tmp_path, rows, schema), schema, tmp_path / "out", labels={"who": ["a", "b"]})
    view = ElementTree.parse(tmp_path / "out" / "labeling_config.xml").getroot()
    tags = {element.get("name"): element for element in view if element.get("name")}
    assert [tags[name].tag for name in ("sound", "gait", "cloud")] == ["Audio", "TimeSeries", "Image"]
    assert [channel.get("column") for channel in tags["gait"]] == ["left", "right"]
    first, second = (task["data"] for task in json.loads((tmp_path / "out" / "tasks.json").read_text()))
    assert first["gait"] == {"time": [0.0, 0.5], "left": [1.0, None], "right": [2.0, 4.0]}
    assert first["sound"].endswith(".wav")
    with Image.open(tmp_path / "out" / "media" / Path(first["cloud"]).name) as image:
        assert np.asarray(image).max() > 200
    assert (second["sound"], second["gait"], second["cloud"]) == (first["sound"], {"time": []}, "")


def test_moments_and_numbers_of_a_dataset_are_shown_as_written_and_can_be_prepared_again(tmp_path: Path):
    columns: dict[str, Any] = {
        "when": {"modality": "datetime", "format": "%d.%m.%Y %H:%M", "timezone": "Europe/Berlin"},
        "price": {"modality": "number", "format": "comma", "unit": "cm"},
        "tags": "set",
        "due": {"modality": "datetime", "role": "target", "format": "%d.%m.%Y"},
    }
    rows = [
        {"when": f"{day:02}.05.2024 14:00", "price": "1.234.567,891", "tags": ["a", "b"], "due": f"{day:02}.06.2024"}
        for day in range(1, 21)
    ]
    rows[3]["when"] = ""
    everything = DataConfig(source="given", split={"validation": 0, "test": 0})  # pyright: ignore[reportArgumentType]
    schema = Schema.parse(columns)
    dataset = prepare(rows, schema, everything, store=tmp_path / "store")
    export_tasks(dataset_chunks(dataset), schema, tmp_path / "out")
    tasks = [task["data"] for task in json.loads((tmp_path / "out" / "tasks.json").read_text())]
    assert {task["when"] for task in tasks} == {"", *(f"2024-05-{day:02}T12:00:00+00:00" for day in range(1, 21) if day != 4)}
    with (tmp_path / "out" / "rows.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert {line["price"] for line in lines} == {"1234567.891"}
    plain = Schema.parse({name: _plain(value) for name, value in schema.dump().items()})
    again = prepare(str(tmp_path / "out" / "rows.csv"), plain, everything, store=tmp_path / "again")
    assert values_of(again) == values_of(dataset)


def _plain(column: dict[str, Any]) -> dict[str, Any]:
    """The column without what docs/annotation.md says to drop."""
    return {name: value for name, value in column.items() if name not in ("format", "unit")}


def values_of(dataset: Any) -> list[tuple[Any, ...]]:
    return sorted(zip(*dataset.take(range(len(dataset)), ["when", "price", "tags", "due"]).values(), strict=True), key=str)


def test_a_moment_is_one_word_in_suggestions_and_on_pages():
    schema = Schema.parse({"when": "datetime", "size": "number"})
    (tag, _) = asked_tags(schema, ["when", "size"])
    assert tag.value(1716033600000000) == {"datetime": "2024-05-18T12:00:00+00:00"}
    assert tag.value("2024-05-18") == {"datetime": "2024-05-18"}
    (chunk,) = chunks_of(Path(), [{"when": "2024-05-18T12:00", "size": 2}], schema)
    (shown,) = showing.exhibits(schema, chunk.rows, [""], [""])
    assert "when: 2024-05-18T12:00:00+00:00" in shown.note


def test_a_decoder_that_is_not_installed_stops_no_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from omnifuse.data.decode.wave_file import encode_wav

    def missing(data: bytes) -> str:
        raise OmnifuseError("needs soundfile; pip install 'omnifuse[audio]'")

    (tmp_path / "word.wav").write_bytes(encode_wav(np.zeros(800, dtype=np.float32), 8000))
    schema = Schema.parse({"sound": "audio"})
    (chunk,) = chunks_of(tmp_path, [{"sound": "word.wav"}], schema)
    monkeypatch.setattr(showing, "_clip", missing)
    (shown,) = showing.exhibits(schema, chunk.rows, [""], [""])
    assert "sound cannot be shown: needs soundfile" in shown.note


def test_members_of_sets_are_new_labels_not_whole_answers(tmp_path: Path):
    schema = Schema.parse({"note": "text", "tags": {"modality": "set", "role": "target"}})
    export_tasks(chunks_of(tmp_path, [{"note": "a"}, {"note": "b"}], schema), schema, tmp_path / "out", labels={"tags": ["x", "y"]})
    tasks = json.loads((tmp_path / "out" / "tasks.json").read_text())
    known, new = {"tags": {"choices": ["y", "x"]}}, {"tags": {"choices": ["x", "z"]}}
    assert imported(tmp_path / "out", annotated(tasks, [[annotation(1, known)], [annotation(1, {})]])).new_labels == {}
    assert imported(tmp_path / "out", annotated(tasks, [[annotation(1, known)], [annotation(1, new)]])).new_labels == {"tags": {"z": 1}}


def test_a_run_may_know_fewer_columns_than_are_shown(tmp_path: Path):
    known = {"size": MODALITIES.build(column_config(SCHEMA["size"]))}
    rows = [{"question": "a", "size": 1}, {"question": "b", "size": 1}]
    (chunk,) = table_chunks(read_table(rows), SCHEMA, tmp_path, known)
    assert chunk.rows.take([0, 1], ["question"]) == {"question": ["a", "b"]}
