"""Programs in processes of their own, with the network closed."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

# Whoever opens a connection or asks for an address is stopped, and written down even where the error is swallowed.
CLOSED = """
import socket, os

def refuse(name):
    def call(*given, **named):
        with open(os.environ["CALLS"], "a") as file:
            print(name, given[1:] or given, file=file)
        raise OSError(f"the network is closed ({name})")
    return call

for name in ("connect", "connect_ex", "sendto", "sendmsg"):
    setattr(socket.socket, name, refuse(name))
for name in ("getaddrinfo", "gethostbyname", "create_connection"):
    setattr(socket, name, refuse(name))
"""


def may_unshare() -> bool:
    """Whether a process may be given a network of its own, without any device."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False).returncode == 0


def offline(program: str, folder: Path, timeout: float = 120, unshare: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a Python program with the network closed: by the kernel where that is permitted, and in Python always.

    What it tried to reach stands in `folder/calls.txt`.
    """
    script = folder / "program.py"
    script.write_text(CLOSED + program, encoding="utf-8")
    words = ["unshare", "-rn", sys.executable] if unshare and may_unshare() else [sys.executable]
    env = {**os.environ, "CALLS": str(folder / "calls.txt"), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    return subprocess.run([*words, str(script)], cwd=folder, env=env, capture_output=True, text=True, timeout=timeout, check=False)


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path
