"""Emoji with names and keywords."""
