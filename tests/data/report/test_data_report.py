"""The report of a dataset: alone, escaped, the same every time, and right."""

from __future__ import annotations

import re
import wave
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.decomposition import PCA

from omnifuse.core.schema import Column, Schema
from omnifuse.data.clean.duplicates import find_duplicates, find_near_duplicates, number_values
from omnifuse.data.clean.labels import find_odd_labels
from omnifuse.data.clean.near import NearPairs
from omnifuse.data.config import SPLITS, DataConfig, SplitConfig
from omnifuse.data.dataset import ID, Dataset
from omnifuse.data.join.report import JoinReport, LeftCounts, RightCounts
from omnifuse.data.leak import Leak, SplitLeak, check_splits_leak
from omnifuse.data.prepare import prepare
from omnifuse.data.report.columns.numbers import principal_plane
from omnifuse.data.report.glance import glance
from omnifuse.data.report.repeats import find_rows
from omnifuse.data.report.report import DESCRIBE, write_data_report
from omnifuse.data.report.sample import draw
from omnifuse.data.report.spectrogram import log_mel
from omnifuse.page.media import Picture

NASTY = ['<script>alert("x")</script>', "\"quotes\" & 'more' {{ 7 * 7 }}", "这是什么颜色？", "word " * 200]
COLUMNS = [
    Column("picture <b>", "image"),
    Column("said", "audio", rate_hz=8000),
    Column("motion", "series"),
    Column("cloud", "points"),
    Column("note", "text"),
    Column("price", "number"),
    Column("stars", "number"),
    Column("tags", "set"),
    Column("taken", "datetime"),
    Column("user", "id"),
    Column("vector", "vector"),
    Column("shop", "category"),
    Column("answer", "category", "target"),
]


def wav(path: Path, hz: float) -> str:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes((20_000 * np.sin(np.arange(4000) * 2 * np.pi * hz / 8000)).astype("<i2").tobytes())
    return str(path)


def make_rows(folder: Path, count: int = 120) -> list[dict[str, Any]]:
    random = np.random.default_rng(0)
    for i in range(12):
        Image.fromarray(random.integers(0, 255, (24 + i, 40, 3), dtype=np.uint8)).save(folder / f"{i}.png")
        wav(folder / f"{i}.wav", 300 + 100 * i)
        np.save(folder / f"{i}.npy", random.normal(size=(500 + i, 4)).astype(np.float32))
    rows = []
    for i in range(count):
        series = {"x": random.normal(size=20 + i % 5).tolist(), "y": [None, *random.normal(size=19 + i % 5).tolist()]}
        rows.append(
            {
                "picture <b>": str(folder / f"{i % 12}.png"),
                "said": str(folder / f"{i % 12}.wav"),
                "motion": series,
                "cloud": str(folder / f"{i % 12}.npy"),
                "note": NASTY[i % len(NASTY)],
                "price": -999.0 if i % 10 == 0 else float(random.normal(100, 20)),
                "stars": float(i % 5),
                "tags": [f"tag {i % 3}", f"tag {i % 4 + 3}"],
                "taken": f"2024-01-{1 + i % 28:02d}T10:00:00",
                "user": f"user {i % 17}",
                "vector": random.normal(size=6).tolist(),
                "shop": None if i % 4 else "<i>north</i>",
                "answer": "yes" if i % 3 else "no",
            }
        )
    return rows


class Page(HTMLParser):
    """Every tag with its attributes, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.text = re.sub(r"\s+", " ", self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.text += " " if tag == "td" else ""

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """All modalities; five of the 120 rows name a picture that is not there."""
    folder = tmp_path_factory.mktemp("data report")
    rows = make_rows(folder)
    for row in rows[:5]:
        row["picture <b>"] = str(folder / "none.png")
    config = DataConfig(source="", quarantine_share=0.5, split=SplitConfig(validation=0.2, test=0.2))
    return prepare(rows, Schema(COLUMNS), config, store=folder / "shops & <i>more.dataset")


def with_manifest(dataset: Dataset, **more: Any) -> Dataset:
    return Dataset(dataset.path, {**dataset.manifest, **more})


def page_of(dataset: Dataset, folder: Path, **options: Any) -> str:
    write_data_report(dataset, folder / "data.html", **options)
    return (folder / "data.html").read_text(encoding="utf-8")


def plain(tmp_path: Path, rows: list[dict[str, Any]], *columns: Column, **config: Any) -> str:
    options: dict[str, Any] = {"source": "", "split": SplitConfig(validation=0, test=0.25)} | config
    return page_of(prepare(rows, Schema(columns), DataConfig(**options), store=tmp_path / "s.dataset"), tmp_path)


@pytest.fixture(scope="module")
def page(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> str:
    return page_of(dataset, tmp_path_factory.mktemp("page"))


def test_stands_alone(page: str) -> None:
    assert not re.search(r"https?://|@import", page)
    parsed = Page(page)
    for _, attributes in parsed.tags:
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/", "data:audio/")), attributes
        assert not re.search(r"url\((?!#)", attributes.get("style") or "")
    assert [tag for tag, _ in parsed.tags].count("script") == 1
    assert "default-src 'none'" in page and "media-src data:" in page


def test_ids_are_unique_and_lead_somewhere(page: str) -> None:
    ids = [attributes["id"] for _, attributes in Page(page).tags if "id" in attributes]
    assert len(ids) == len(set(ids)) > 0
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', page)) <= set(ids)


def test_user_text_is_escaped(page: str) -> None:
    parsed = Page(page)
    assert "<script>alert" not in page and "<i>north" not in page and "picture <b>" not in page and "<i>more" not in page
    assert not any(name.startswith("on") for _, attributes in parsed.tags for name in attributes)
    for said in (*NASTY[:3], "<i>north</i>", "picture <b>", "shops & <i>more"):
        assert said in parsed.text, said
    assert "word " * 100 not in parsed.text


def test_the_first_screen_tells_what_the_data_are(dataset: Dataset, page: str) -> None:
    opening = Page(page[: page.index('<section id="columns">')]).text
    splits = dataset.manifest["splits"]
    assert sum(splits.values()) == 115 and "115 rows, each with picture <b> (image), said (audio)" in opening
    assert "to be learned: answer (category)." in opening
    for split, count in splits.items():
        assert f"{split} {count} (" in opening
    assert "5 rows (4.2 %) set aside because of values of picture <b>" in opening
    absent = dataset.manifest["absent"]["shop"]
    assert f"mostly absent: shop ({100 * absent / 115:.1f} %)" in opening
    assert f"the test split has only {splits['test']} rows" in opening
    assert "of the values are -999, far from all others" in opening


def test_every_modality_has_its_figures(dataset: Dataset, page: str) -> None:
    parts = {section.partition('"')[0]: section for section in page.split('<section class="column" id="')[1:]}
    by_name = {column.name: parts[f"c{place}"] for place, column in enumerate(COLUMNS)}
    assert by_name["picture <b>"].count('src="data:image/') == 12
    assert by_name["said"].count('<audio controls preload="none" src="data:audio/wav;base64,') == 6
    assert by_name["said"].count('aria-label="Waveform"') == 6 and by_name["said"].count('src="data:image/') == 6
    assert by_name["cloud"].count('aria-label="A point cloud from above"') == 6
    figures = {"motion": "A few of the series", "note": "Spread of words", "price": "Spread of price", "taken": "Rows over time"}
    figures |= {"user": "Frequency of ids", "vector": "plane of widest spread", "tags": "Labels that occur together"}
    for name, title in figures.items():
        assert re.search(f'aria-label="[^"]*{title}', by_name[name]), name
    for name in ("stars", "shop", "answer"):
        assert '<div class="bars">' in by_name[name]
    assert set(DESCRIBE) - {column.modality for column in COLUMNS} == {"video"}


def test_films_are_strips_of_frames(tmp_path: Path) -> None:
    pytest.importorskip("av")
    random = np.random.default_rng(0)
    rows = [{"film": random.integers(0, 255, (6 + i, 32, 48, 3), dtype=np.uint8), "what": f"kind {i % 2}"} for i in range(8)]
    page = plain(tmp_path, rows, Column("film", "video"), Column("what", "category", "target"))
    gallery = page[page.index("<b>Films</b>") :]
    gallery = gallery[: gallery.index("</figure>")]
    pictures = re.findall(r'<img src="data:image/[^"]+" width="(\d+)" height="(\d+)"', gallery)
    assert len(pictures) == 6 and all(abs(int(width) / int(height) - 9) < 0.1 for width, height in pictures)  # six frames of 3 : 2
    assert "kind 1" in gallery and "all 48 pixels" in page


def test_gaps_of_series_are_told(page: str) -> None:
    text = Page(page).text
    assert re.search(r"motion: \d\.\d % of the values inside the series are missing", text)


def test_same_dataset_same_bytes(dataset: Dataset, page: str, tmp_path: Path) -> None:
    assert page_of(Dataset.open(dataset.path), tmp_path) == page


def test_a_part_of_the_rows_is_drawn_the_same_each_time(dataset: Dataset, tmp_path: Path) -> None:
    first, second = draw(dataset, 10), draw(dataset, 10)
    assert {name: sample.values for name, sample in first.items()} == {name: sample.values for name, sample in second.items()}
    assert all(len(values) == 10 for values in first["note"].values.values())
    text = Page(page_of(dataset, tmp_path, rows=10)).text
    assert "drawn from 10 rows of train, 10 rows of validation and 10 rows of test" in text
    assert "115 rows, each with" in text


def test_every_quarantined_row_is_counted_and_the_first_are_named(tmp_path: Path) -> None:
    rows = [{"price": "much" if i < 70 else float(i), "note": "a"} for i in range(200)]
    text = Page(plain(tmp_path, rows, Column("price", "number"), Column("note", "text"), quarantine_share=0.5)).text
    assert "70 rows (35.0 %) set aside" in text and "the first 50 of 70; all are in quarantine.csv" in text
    assert "note: every text is the same" in text


def test_absence_by_pairs_of_columns_is_exact(tmp_path: Path) -> None:
    rows = [{"a": None if i % 2 else 1.5, "b": None if i % 2 else 2.5, "c": None if i % 4 < 2 else float(i)} for i in range(80)]
    columns = [Column(name, "number") for name in "abc"]
    text = Page(plain(tmp_path, rows, *columns)).text
    assert "40 · 50.0 %" in text
    assert "a b 50.0 % 25.0 % 2.0 ×" in text and "a c 25.0 % 25.0 % 1.0 ×" in text


def test_labels_that_training_lacks_and_a_great_majority_are_found(tmp_path: Path) -> None:
    rows = [{"x": float(i), "y": "rare" if i == 0 else "usual", "part": "test" if i < 20 else "train"} for i in range(200)]
    columns = [Column("x", "number"), Column("y", "category", "target")]
    text = Page(plain(tmp_path, rows, *columns, split=SplitConfig(column="part"))).text
    assert "y: 1 label of test never occur in training (“rare”)" in text
    assert "y: 99.5 % of the rows are “usual”" in text


def test_an_empty_column_and_one_split_are_no_trouble(tmp_path: Path) -> None:
    rows = [{"a": None, "b": "x", "c": None} for _ in range(3)]
    columns = [Column("a", "number"), Column("b", "text"), Column("c", "image")]
    text = Page(plain(tmp_path, rows, *columns, split=SplitConfig(validation=0, test=0))).text
    assert "a and c: no row has a value; leave them out" in text and "there is no test split" in text


def numbered(dataset: Dataset, column: str) -> tuple[list[str], np.ndarray, np.ndarray, list[Any]]:
    """Ids, numbers of the values of a column, splits as numbers, and the different values."""
    rows = dataset.take(range(len(dataset)), [column, ID, "__split__"])
    codes, values = number_values(rows[column])
    return rows[ID], codes, np.array([SPLITS.index(split) for split in rows["__split__"]]), values


def test_near_duplicates_stand_side_by_side(dataset: Dataset, tmp_path: Path) -> None:
    ids, codes, splits, values = numbered(dataset, "picture <b>")
    near = NearPairs(np.arange(6), np.arange(6, 12), np.full(6, 3, dtype=np.float32))
    assert len(values) == 12
    report = find_near_duplicates(ids, codes, splits, near, column="picture <b>")
    assert report.across_groups == 6
    page = page_of(with_manifest(dataset, duplicates=[report.dump()], dropped={"duplicates": 2, "near_duplicates": 0}), tmp_path)
    gallery = page[page.index("Near duplicates in picture") :]
    gallery = gallery[: gallery.index("</figure>")]
    assert gallery.count('src="data:image/') == 12 and gallery.count("3 bits differ") == 6
    text = Page(page).text
    assert f"{report.across_rows} rows nearly repeat another in picture <b> across splits" in text
    assert "2 rows that repeated others were dropped" in text
    assert "together keeps them on one side" in text
    given = with_manifest(dataset, duplicates=[report.dump()], sources={"train": {}, "test": {}})
    text = Page(page_of(given, tmp_path / "given")).text
    assert "the test rows were given as such" in text and "keeps them on one side" not in text, "no option moves a given row"


def test_a_file_in_two_splits_is_told_once(dataset: Dataset, tmp_path: Path) -> None:
    ids, codes, splits, _ = numbered(dataset, "picture <b>")
    report = find_duplicates(ids, codes, splits, column="picture <b>")
    leaks = check_splits_leak(ids, splits, values={"picture <b>": codes})
    assert report.across_groups == 12 and len(leaks) == 1
    page = page_of(with_manifest(dataset, duplicates=[report.dump()], leaks=[leaks[0].dump()]), tmp_path)
    opening = Page(page[: page.index('<section id="columns">')]).text
    assert f"{report.across_rows} rows share their picture <b> with another across splits" in opening
    assert "in more than one split" not in opening and "are in more than one split" in Page(page).text
    gallery = page[page.index("Duplicates in picture") :]
    assert gallery[: gallery.index("</figure>")].count('src="data:image/') == 8


def test_joins_labels_and_leaks_are_told(dataset: Dataset, tmp_path: Path) -> None:
    left = LeftCounts(rows=150, matched=115, too_far=20, unmatched=15, dropped=35)
    right = RightCounts(rows=300, used=110, duplicated=4, unmatched=186)
    join = JoinReport("labs <b>", "asof", "inner", left, right, {}, {"left": ["k<7>"]}, {"mean": 0.25})
    labels = find_odd_labels({"bronchitis": 200, "bronchitsi": 2}, column="answer")
    leaks = [vars(Leak("price", "answer", "AUC", 0.987)), SplitLeak("group", "user", 3, 9, ({"rows": ["r1"], "splits": ["train"]},)).dump()]
    more = with_manifest(dataset, joins=[join.dump()], labels=[labels.dump()], leaks=leaks)
    text = Page(page_of(more, tmp_path)).text
    assert "115 of 150 rows found a partner in labs <b>; 35 rows without one were dropped; 4 rows of labs <b> went unused" in text
    for said in ("nearest one too far in time 20 13.3 %", "together 150", "together 300", "k<7>", "mean distance 0.25 s"):
        assert said in text, said
    assert "answer: 1 label may be misspelt (“bronchitsi” for “bronchitis”)" in text and "bronchitsi: bronchitis" in text
    assert "price alone nearly gives answer away (AUC 0.987)" in text
    assert "3 values of user are in more than one split, in 9 rows" in text


def test_rows_are_found_by_their_id_even_among_many_copies(tmp_path: Path) -> None:
    rows = [{"a": float(i % 3)} for i in range(60)]
    dataset = prepare(rows, Schema([Column("a", "number")]), DataConfig(source="", split=SplitConfig(validation=0, test=0)), store=tmp_path)
    ids = dataset.take(range(60), [ID])[ID]
    assert any(one.endswith("-12") for one in ids)
    assert find_rows(dataset, [*ids, "0", "zz"]) == {one: place for place, one in enumerate(ids)}
    assert find_rows(dataset, []) == {}


def test_a_value_at_a_glance(tmp_path: Path) -> None:
    sounded = glance("audio", Path(wav(tmp_path / "a.wav", 440)).read_bytes())
    assert isinstance(sounded, Picture) and sounded.height == 64
    assert str(glance("audio", b"no sound")).startswith("(cannot be shown: ")
    assert glance("datetime", 1_704_103_200_000_000) == "2024-01-01 10:00:00"
    assert glance("set", ()) == "(none)" and glance("set", ("a", "b")) == "a, b"
    assert glance("vector", (1.0, 2.0, 3.0, 4.0, 5.0)) == "1, 2, 3, 4, … (5 numbers)"
    assert glance("points", b"\x00" * 1200) == "(1,200 bytes)" and glance("number", 0.1) == "0.1"


def test_a_pure_tone_lies_in_its_band() -> None:
    level = log_mel(np.sin(np.arange(16_000) * 2 * np.pi * 1000 / 16_000), 16_000)
    mel = 2595 * np.log10(1 + np.array([1000, 8000]) / 700)
    assert abs(int(level.mean(axis=1).argmax()) - (mel[0] / mel[1] * 65 - 1)) < 1.5
    assert level.max() == 0 and level.min() >= -70
    assert log_mel(np.zeros(3), 8000).shape == (64, 1)


def test_the_plane_of_widest_spread_keeps_what_principal_components_keep() -> None:
    values = np.random.default_rng(0).normal(size=(50, 6)) * [5, 3, 1, 1, 1, 1]
    own = PCA(2).fit(values)
    for part in (values, values.repeat(20, axis=1)):  # more rows than numbers, and the other way round
        points, kept = principal_plane(part)
        assert np.isclose(kept, own.explained_variance_ratio_.sum())
        assert np.allclose(np.abs(points / points.std(axis=0)), np.abs(own.transform(values) / own.transform(values).std(axis=0)))


def test_a_modality_of_ones_own_is_shown_by_its_values(dataset: Dataset) -> None:
    from omnifuse.data.report.report import describe

    sample = draw(dataset)["note"]
    other = replace(sample, column=Column("note", "smell"))
    assert [block.kind for block in describe(other).blocks] == ["texts"]
