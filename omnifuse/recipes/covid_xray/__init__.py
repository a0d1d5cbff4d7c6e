"""Chest X-rays with laboratory values."""
