"""Fusions: tokens of all columns → one representation. A fusion knows tokens only."""
