"""Help is quick, complete, and loads nothing heavy."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from tests.cli.conftest import MAIN, environment

VERBS = ("init", "prepare", "plan", "train", "evaluate", "explain", "predict", "generate", "quality", "compare", "demo")
HEAVY = ("torch", "daft", "lance", "accelerate", "sklearn", "matplotlib", "tokenizers", "transformers", "pandas")


def python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], env=environment(), capture_output=True, text=True, timeout=60, check=False)


def test_help_of_every_verb_works_and_loads_nothing_heavy() -> None:
    program = f"""
import sys
from omnifuse.cli.main import main
for words in [["--help"], ["-h"], ["--version"], *([verb, "--help"] for verb in {VERBS})]:
    sys.argv = ["omnifuse", *words]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, (words, ended.code)
loaded = [name for name in {HEAVY} if name in sys.modules]
assert not loaded, loaded
"""
    ended = python(program)
    assert ended.returncode == 0, ended.stderr
    for verb in VERBS:
        assert f"Usage: omnifuse {verb}" in ended.stdout


def test_importing_the_package_loads_nothing_heavy() -> None:
    ended = python(f"import sys, omnifuse; dir(omnifuse); print([name for name in {HEAVY} if name in sys.modules])")
    assert ended.stdout.strip() == "[]", ended.stdout + ended.stderr


def test_names_of_the_package_are_found_when_first_used() -> None:
    names = ["OmnifuseError", "Column", "Schema", "Dataset", "Pipeline", "Recipe", "evaluate", "fit"]
    ended = python(f"import omnifuse as of\nfor name in {names}: assert getattr(of, name).__name__ == name and name in dir(of)")
    assert ended.returncode == 0, ended.stderr


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    import omnifuse

    with pytest.raises(AttributeError, match="has no attribute 'Pipelin'"):
        omnifuse.Pipelin  # noqa: B018


def test_help_answers_within_half_a_second() -> None:
    """Of processor time, which other work on the machine does not change."""

    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*MAIN, "--help"], env=environment(), capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(5)) < 0.5


@pytest.mark.parametrize("words", [[], ["train"], ["predict"]])
def test_without_words_help_is_shown(words: list[str]) -> None:
    ended = subprocess.run([*MAIN, *words], env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert "Usage" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
