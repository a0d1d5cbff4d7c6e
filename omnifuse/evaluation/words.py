"""Figures as sentences tell them."""

from __future__ import annotations


def told(value: float) -> str:
    """Three digits; never 1.000 of what is not quite 1, which would say that nothing is wrong.

    >>> told(0.5), told(0.99996), told(1234.5)
    ('0.500', '0.9999', '1234')
    """
    if 0.9995 <= value < 1:
        return f"{min(value, 0.9999):.4f}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.4g}"
