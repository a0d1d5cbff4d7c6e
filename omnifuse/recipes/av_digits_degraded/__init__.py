"""Noisy written and spoken digits."""
