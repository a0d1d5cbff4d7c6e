"""What pages are made of: figures that follow the page, pictures and sounds inside it."""

from __future__ import annotations

import base64
import io
import re
import wave

import numpy as np
import pytest
from PIL import Image

from omnifuse.page.blocks import Bar, Bars, Cell, Table
from omnifuse.page.figures import ACCENT, central, framed_axes, one_axes, styled, to_svg, waveform
from omnifuse.page.media import picture, sound
from omnifuse.page.page import render_page, versions_of
from omnifuse.page.words import label, listed, percent, quantity, shorten


def decoded(uri: str) -> bytes:
    return base64.b64decode(uri.partition(",")[2])


@styled
def drawn(key: str, framed: bool = False) -> str:
    figure, axes = (framed_axes if framed else one_axes)(4, 3)
    axes.plot([0, 1], [0, 1], color=ACCENT, marker="o", label="$5 or <b>6</b>")
    axes.imshow(np.eye(3), extent=(0, 1, 0, 1))
    axes.legend()
    return to_svg(figure, key, 'A "title"')


@pytest.mark.parametrize("framed", [False, True])
def test_a_figure_has_the_colours_of_the_page_and_ids_of_its_own(framed: bool) -> None:
    svg = drawn("k7", framed)
    assert "var(--accent)" in svg and "#040506" not in svg
    assert "xmlns" not in svg and "<style" not in svg and "<metadata" not in svg
    assert "$5 or &lt;b&gt;6&lt;/b&gt;" in svg
    ids = re.findall(r' id="([^"]+)"', svg)
    assert ids and all(one.startswith("k7-") for one in ids)
    assert set(re.findall(r"url\(#([^)]+)\)", svg)) <= set(ids)
    assert re.search(r'<image[^>]* href="data:image/png;base64,', svg)


def test_the_users_matplotlibrc_changes_nothing() -> None:
    import matplotlib as mpl

    before = drawn("a")
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        assert drawn("a") == before


def test_a_photograph_is_a_jpeg_and_a_drawing_a_png() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (150, 160, 3), dtype=np.uint8)
    flat = np.full((10, 20, 3), 7, dtype=np.uint8)
    photograph, drawing = picture(noise, enlarge_to=160), picture(flat, enlarge_to=160)
    assert photograph.uri.startswith("data:image/jpeg") and not photograph.enlarged
    assert drawing.uri.startswith("data:image/png") and (drawing.width, drawing.height, drawing.enlarged) == (160, 80, True)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(decoded(drawing.uri)))), flat)


def test_grey_and_transparent_pixels_are_pictures_too() -> None:
    assert np.asarray(Image.open(io.BytesIO(decoded(picture(np.zeros((4, 5, 1), np.uint8)).uri)))).shape == (4, 5)
    assert np.asarray(Image.open(io.BytesIO(decoded(picture(np.zeros((4, 5, 4), np.uint8)).uri)))).shape == (4, 5, 4)


def test_a_sound_can_be_played() -> None:
    played = np.array([0.0, 0.5, -1.0, 3.0, np.nan])
    with wave.open(io.BytesIO(decoded(sound(played, 8000)))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        assert np.frombuffer(file.readframes(9), "<i2").tolist() == [0, 16384, -32767, 32767, 0]


@pytest.mark.parametrize("values", [np.zeros(0), np.zeros(5), np.array([np.nan, 1.0]), np.sin(np.arange(5000))])
def test_a_waveform_stays_in_its_box(values: np.ndarray) -> None:
    svg = waveform(values)
    heights = [float(y) for y in re.findall(r",(-?[\d.]+)", svg)]
    assert heights and min(heights) >= 0 and max(heights) <= 60


def test_an_axis_leaves_out_what_would_squeeze_the_rest() -> None:
    values = np.append(np.linspace(0, 1, 1000), 1e6)
    low, high = central(values)
    assert low < 0.01 and high + 0.02 >= 1 and high < 2
    assert central(np.array([3.0, 3.0])) == (2.88, 3.12)


def test_tables_sort_by_value_and_bars_fill_the_width() -> None:
    table = Table("t", "", ("a", "b"), [("x", Cell("1,000", 1000)), ("y", "2"), ("z", "3")], (1,))
    assert table.sorts and table.cells()[0][1] == Cell("1,000", 1000) and table.cells()[1][1] == Cell("2")
    assert not Table("t", "", ("a",), [("x",), ("y",)]).sorts
    assert Bars("", "", ("s",), [Bar("a", [0.1]), Bar("b", [0.4])]).longest == 0.4
    assert Bars("", "", ("s",), [Bar("a", [0.0])]).longest == 1.0


def test_words() -> None:
    assert [percent(part, 1000) for part in (0, 1, 333, 999.5, 1000)] == ["0 %", "0.1 %", "33.3 %", "> 99.9 %", "100 %"]
    assert percent(0, 0) == "0 %"
    assert [quantity(value) for value in (-999.0, 0.00001, 12345.678, 1e12)] == ["-999", "1e-05", "12,346", "1e+12"]
    assert listed([]) == "" and listed(["a"]) == "a"
    assert len(label("x" * 100)) <= 24 and shorten("eight or nine", 9) == "eight or…"


def test_versions_name_what_is_installed_only() -> None:
    versions = versions_of(["numpy", "no-such-library"])
    assert {"omnifuse", "Python", "numpy"} == set(versions)


def test_an_unknown_template_is_not_a_blank_page() -> None:
    with pytest.raises(FileNotFoundError):
        render_page("omnifuse.page/none.html.j2", {})
