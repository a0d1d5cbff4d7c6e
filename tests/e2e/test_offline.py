"""No connection is opened that was not asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import colour_rows
from tests.e2e.conftest import may_unshare, offline, write_rows

TELEMETRY = {
    "DO_NOT_TRACK": "1",
    "DAFT_ANALYTICS_ENABLED": "0",
    "SCARF_NO_ANALYTICS": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
JOB = """
import sys
from omnifuse.cli.main import main

for words in (
    ["init", "rows.csv", "--target", "answer"],
    ["train", "recipe.yaml", "--out", "run", "--set", "model.dim=16", "--set", "train.epochs=1", "--set", "train.tracking=[tensorboard]"],
    ["evaluate", "run"],
    ["predict", "run", "rows.csv", "--out", "answers.csv"],
):
    sys.argv = ["omnifuse", *words]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, words
"""


def test_the_closed_network_is_closed(tmp_path: Path) -> None:
    program = """
import socket, urllib.request
for attempt in (lambda: socket.create_connection(("127.0.0.1", 9)), lambda: urllib.request.urlopen("http://127.0.0.1:9")):
    try:
        attempt()
    except OSError as error:
        assert "closed" in str(error), error
    else:
        raise AssertionError("reached")
"""
    ended = offline(program, tmp_path, unshare=False)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "calls.txt").read_text(encoding="utf-8").count("\n") == 2


def test_the_kernel_closes_the_network_too_where_it_may(tmp_path: Path) -> None:
    program = "print([line.split(':')[0].strip() for line in open('/proc/net/dev').read().splitlines()[2:]])"
    ended = offline(program, tmp_path)
    assert ended.returncode == 0, ended.stderr
    if may_unshare():
        assert "'lo'" in ended.stdout
        assert not any(device in ended.stdout for device in ("eth", "enp", "ens", "wlan", "docker"))


def test_the_whole_job_works_with_the_network_closed_and_tries_nothing(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.csv", colour_rows(tmp_path, 60))
    ended = offline(JOB, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    assert json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))["test"]["answer"]["accuracy"] >= 0
    assert (tmp_path / "run" / "report.html").stat().st_size > 0
    assert (tmp_path / "answers.csv").read_text(encoding="utf-8").count("\n") == 61
    calls = tmp_path / "calls.txt"
    assert not calls.exists(), calls.read_text(encoding="utf-8")


def switches(**given: str) -> dict[str, str]:
    """The telemetry variables after `import omnifuse`, in a process where only `given` are set."""
    clean = {name: value for name, value in os.environ.items() if name not in TELEMETRY}
    program = f"import omnifuse, os, json; print(json.dumps({{name: os.environ.get(name) for name in {list(TELEMETRY)}}}))"
    ended = subprocess.run([sys.executable, "-c", program], env={**clean, **given}, capture_output=True, text=True, check=True)
    return json.loads(ended.stdout)


def test_importing_the_package_turns_usage_reports_off() -> None:
    assert switches() == TELEMETRY


def test_what_the_user_has_set_is_left_alone() -> None:
    assert switches(DAFT_ANALYTICS_ENABLED="1") == {**TELEMETRY, "DAFT_ANALYTICS_ENABLED": "1"}
