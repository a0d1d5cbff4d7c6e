"""No connection is opened that the user did not ask for."""

from __future__ import annotations

import os

_SWITCHES = {
    "DO_NOT_TRACK": "1",
    "DAFT_ANALYTICS_ENABLED": "0",
    "SCARF_NO_ANALYTICS": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}


def silence_telemetry() -> None:
    """Turn off the usage reports of our dependencies; a variable the user has set is left alone."""
    for name, value in _SWITCHES.items():
        os.environ.setdefault(name, value)
