"""What is found stands on the page, in words first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from omnifuse.evaluation.calibration.calibration import calibrate_target, judge_calibration
from omnifuse.evaluation.kinds.label import Label
from omnifuse.evaluation.kinds.number import Number
from omnifuse.evaluation.kinds.quantiles import Quantiles
from omnifuse.evaluation.report.calibration import calibration_section
from omnifuse.page.sections import write_page
from omnifuse.pipeline.calibration import Calibration
from tests.evaluation.calibration.streams import label_answers, number_answers


def test_too_sure_is_said_and_mended_by_the_temperature() -> None:
    known = calibrate_target("label", *label_answers(6_000, 0, temperature=0.5))
    answers, patterns = label_answers(6_000, 1, temperature=0.5)
    details = judge_calibration(Calibration({"y": known}), "y", Label(), answers, patterns)
    first, second, third, last = details["sentences"][:4]
    assert first.startswith("When it says 0.9")
    assert first.endswith(": too sure.")
    assert second.startswith("At its temperature it says")
    assert third.startswith("Sets of y meant to hold the truth 90 % of the time hold it ")
    assert last.startswith(("On the surest 80 % of the rows it is right ", "Of rows"))
    assert details["temperature"] == pytest.approx(2, rel=0.1)


def test_not_sure_enough_and_as_sure_as_it_may_be_are_told_apart() -> None:
    for temperature, word in ((2.0, "not sure enough."), (1.0, "as sure as it may be.")):
        answers, patterns = label_answers(6_000, 2, temperature=temperature)
        assert judge_calibration(None, "y", Label(), answers, patterns)["sentences"][0].endswith(word)


def test_a_pattern_that_is_not_covered_is_named() -> None:
    answers, patterns = number_answers(4_000, 3)
    calibrating, calibrated_patterns = number_answers(4_000, 4)
    known = calibrate_target("number", calibrating, calibrated_patterns, method="residual", least=10_000)
    details = judge_calibration(Calibration({"y": known}), "y", Number(), answers, patterns)
    words = " ".join(details["sentences"])
    assert "Of rows with nothing they hold it" in words
    assert "Of rows without right they hold it" in words or "Of rows without left they hold it" in words


def test_the_section_of_each_kind_is_drawn_and_stands_on_a_page(tmp_path: Path) -> None:
    made = {
        "label": (Label(), *label_answers(900, 5), "lac"),
        "number": (Number(), *number_answers(900, 5), "residual"),
        "quantiles": (Quantiles(), *number_answers(900, 5, levels=3), "cqr"),
        "few": (Number(), *number_answers(15, 5), "residual"),
    }
    sections = []
    for name, (kind, answers, patterns, method) in made.items():
        tells = "number" if name == "few" else name
        calibration = Calibration({name: calibrate_target(tells, answers, patterns, method=method)})
        details = judge_calibration(calibration, name, kind, answers, patterns, [np.arange(len(patterns)) // 3])
        sections.append(calibration_section(name, details, f"t{len(sections)}"))
    titles = [[block.title for block in section.blocks] for section in sections]
    held, less = "Is the truth held 90 % of the time?", "What if it may pass?"
    assert titles[0] == ["What it says and what is right", held, less, "Confidence", "Sets"]
    assert titles[1] == [held, "Intervals"]
    assert titles[2] == [held, less, "Quantiles", "Intervals"]
    write_page(tmp_path / "page.html", "calibration", "", ["…"], [], sections)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 7
    assert "no limit" in page
    assert "it takes 19 calibration rows, and there are 15" in page
    assert page == write_page(tmp_path / "again.html", "calibration", "", ["…"], [], sections).read_text(encoding="utf-8")
