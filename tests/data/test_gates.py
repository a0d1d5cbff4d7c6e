"""The gates are the only ways in: read from the source of the package, so that no new module goes round them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import omnifuse

PACKAGE = Path(omnifuse.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
NETWORK = {
    "socket", "ssl", "urllib.request", "urllib3", "http.client", "http", "requests", "httpx", "aiohttp", "ftplib", "smtplib", "fsspec",
    "pyarrow.fs",
}  # fmt: skip
DECODERS = {"cv2", "imageio", "torchvision.io", "skimage.io", "av", "soundfile", "torchaudio", "torchcodec"}
UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle"}
UNSAFE_CALLS = {
    "torch.load",
    "yaml.load",
    "yaml.unsafe_load",
    "yaml.full_load",
    "eval",
    "exec",
    "os.system",
    "numpy.load",
    "pandas.read_pickle",
}


def _names(tree: ast.AST) -> dict[str, str]:
    """What each imported name of a module stands for."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.split(".")[0]] = alias.name if alias.asname else alias.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _dotted(node.func, {}) in {"import_module", "importlib.import_module", "__import__"}:
            yield from (str(word.value) for word in node.args if isinstance(word, ast.Constant))


def _dotted(node: ast.AST, names: dict[str, str]) -> str:
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([names.get(node.id, node.id), *reversed(parts)])


def _called(tree: ast.AST) -> Iterator[str]:
    names = _names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield _dotted(node.func, names)


def _faults(source: str, where: str) -> list[str]:
    """What a module does that only a gate may, or nobody."""
    tree = ast.parse(source)
    imported, called = set(_imported(tree)), set(_called(tree))
    faults = sorted(f"imports {name}" for name in imported & UNSAFE_MODULES)
    faults += sorted(f"calls {name}" for name in called & UNSAFE_CALLS)
    if not where.startswith("data/fetch/"):
        faults += sorted(f"imports {name}" for name in imported & NETWORK)
    if not where.startswith("data/decode/"):
        faults += sorted(f"imports {name}" for name in imported & DECODERS)
        faults += sorted(f"calls {name}" for name in called if name in {"PIL.Image.open", "PIL.ImageFile.Parser"})
    return faults


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_module_goes_through_the_gates_and_runs_nothing_from_a_file(path: Path):
    assert _faults(path.read_text(encoding="utf-8"), path.relative_to(PACKAGE).as_posix()) == []


def test_the_gates_are_where_this_test_looks_for_them():
    images = ast.parse((PACKAGE / "data" / "decode" / "image.py").read_text(encoding="utf-8"))
    assert "PIL.Image.open" in set(_called(images))
    sounds = ast.parse((PACKAGE / "data" / "decode" / "audio.py").read_text(encoding="utf-8"))
    assert "soundfile" in set(_imported(sounds))
    addresses = ast.parse((PACKAGE / "data" / "fetch" / "web.py").read_text(encoding="utf-8"))
    assert "urllib.request" in set(_imported(addresses))
    assert len(FILES) > 40


@pytest.mark.parametrize(
    "source",
    [
        "import socket",
        "from urllib.request import urlopen",
        "from urllib import request",
        "def f():\n    import requests",
        "import http.client as client",
        "from PIL import Image\nImage.open('a.png')",
        "import PIL.Image\nPIL.Image.open('a.png')",
        "from PIL.Image import open as look\nlook('a.png')",
        "from PIL import Image as I\ndef f(x):\n    return I.open(x)",
        "import pickle",
        "from pickle import loads",
        "import importlib\nimportlib.import_module('pickle')",
        "import torch\ntorch.load('x')",
        "from torch import load\nload('x')",
        "import yaml as y\ny.load('x')",
        "eval('1')",
        "exec('1')",
        "import numpy as np\nnp.load('x.npy', allow_pickle=True)",
        "import cv2",
        "from pyarrow import fs",
    ],
)
def test_this_test_sees_each_way_round_the_gates(source: str):
    assert _faults(source, "data/other.py")


@pytest.mark.parametrize("source", ["import yaml\nyaml.safe_load('x')", "from urllib.parse import quote", "model.eval()", "open('a.txt')"])
def test_this_test_does_not_cry_wolf(source: str):
    assert _faults(source, "data/other.py") == []
