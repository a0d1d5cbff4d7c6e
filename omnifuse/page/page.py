"""Templates → one HTML page; every value is escaped but the figures we drew."""

from __future__ import annotations

import base64
import hashlib
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata, resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

import omnifuse
from omnifuse.page.words import figure, percent, quantity, shorten


def render_page(template: str, values: Mapping[str, Any]) -> str:
    """Fill in a template, such as `omnifuse.evaluation.report/report.html.j2`.

    A template extends `omnifuse.page/shell.html.j2`, which brings the look, the content policy (nothing may be loaded, only
    the shell's own script runs) and tables that sort, and may import `omnifuse.page/parts.html.j2`.
    The same values give the same bytes.
    """
    environment = Environment(
        loader=FunctionLoader(_read), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, auto_reload=False
    )
    environment.filters |= {"figure": figure, "quantity": quantity, "shorten": shorten, "sha256": _sha256}
    environment.globals["percent"] = percent
    return environment.get_template(template).render(values)


def versions_of(libraries: Sequence[str]) -> dict[str, str]:
    """Versions of omnifuse, Python and those of the libraries that are installed, for the foot of a page."""
    versions = {"omnifuse": omnifuse.__version__, "Python": platform.python_version()}
    for name in libraries:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _read(name: str) -> str:
    package, _, file = name.partition("/")
    return resources.files(package).joinpath(file).read_text(encoding="utf-8")


def _sha256(text: str) -> str:
    """What the page's content policy calls a script by."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
