"""Drift: are new rows still like those a model was trained on?"""
