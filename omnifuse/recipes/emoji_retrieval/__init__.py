"""Emoji: which name belongs to a picture?"""
