"""Emoji and their keywords, both ways."""
