"""The report in a real browser: nothing overflows on a phone, tables sort, it opens at once. Skipped where there is no Chromium."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import omnifuse as of
from omnifuse.evaluation.config import EvaluateConfig
from omnifuse.evaluation.evaluation import evaluate
from omnifuse.evaluation.report.report import write_report
from tests.evaluation.conftest import Learned

CHROMIUM = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
LOOK = """
<script>window.addEventListener("load", () => {
  const table = document.querySelector("table.sortable");
  const before = table && [...table.tBodies[0].rows].map(row => row.textContent);
  table?.querySelector("th button").click();
  const after = table && [...table.tBodies[0].rows].map(row => row.textContent);
  const free = [...document.querySelectorAll("body *")].filter(e => !e.closest(".plot, .scroll"));
  const wide = free.filter(e => e.getBoundingClientRect().right > innerWidth + 1);
  const navigation = performance.getEntriesByType("navigation")[0];
  document.title = "SEEN" + JSON.stringify({
    sorted: JSON.stringify(before) !== JSON.stringify(after), rows: before?.length, width: innerWidth,
    overflow: wide.slice(0, 3).map(e => e.tagName + "." + e.className + ": " + e.textContent.slice(0, 40)),
    ready_ms: navigation.domContentLoadedEventEnd, scheme: matchMedia("(prefers-color-scheme: dark)").matches,
    paper: getComputedStyle(document.body).backgroundColor,
  });
});</script></head>"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")


@pytest.fixture(scope="module", autouse=True)
def started() -> None:
    """Skip where Chromium is there and cannot start, as in some containers."""
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", "about:blank"]
    try:
        subprocess.run(command, capture_output=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"Chromium does not start here: {error}")


@pytest.fixture(scope="module")
def page(learned: Learned, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with everything in it."""
    run = tmp_path_factory.mktemp("browser")
    rows = of.Dataset.open(learned.run / "dataset").split("test")
    found = evaluate(learned.pipeline, rows, config=EvaluateConfig(robustness=True, robustness_rows=30, by=["shop"]))
    return write_report(run, found, learned.pipeline, rows, explain=True)


def seen(page: Path, *flags: str, width: int = 1200) -> dict[str, Any]:
    """What the browser says of a page; its content policy is taken away so that it can be asked."""
    assert CHROMIUM
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text(encoding="utf-8"))
    copy = page.with_name("looked-at.html")
    copy.write_text(text.replace("</head>", LOOK, 1), encoding="utf-8")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},900", "--virtual-time-budget=4000", *flags]
    shown = subprocess.run([*command, "--dump-dom", copy.as_uri()], capture_output=True, text=True, timeout=120, check=True).stdout
    found = re.search(r"<title>SEEN(.*?)</title>", shown)
    assert found, shown[:500]
    return json.loads(found[1].replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))


def test_tables_sort_and_nothing_overflows(page: Path) -> None:
    found = seen(page)
    assert found["rows"] > 1 and found["sorted"]
    assert found["overflow"] == []


def test_it_is_readable_on_a_phone(page: Path) -> None:
    found = seen(page, width=500)
    assert found["width"] <= 500
    assert found["overflow"] == []


def test_it_follows_a_dark_look(page: Path) -> None:
    light, dark = seen(page), seen(page, "--force-dark-mode", "--blink-settings=preferredColorScheme=0")
    assert light["paper"] != dark["paper"]


def test_the_policy_of_the_page_lets_its_own_script_run_and_no_other(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    injected = page.with_name("injected.html")
    injected.write_text(text.replace("</body>", '<script>document.title = "INJECTED"</script></body>'), encoding="utf-8")
    assert CHROMIUM
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", injected.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert "<title>INJECTED" not in shown
