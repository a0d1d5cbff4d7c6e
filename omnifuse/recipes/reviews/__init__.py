"""Clothing reviews."""
