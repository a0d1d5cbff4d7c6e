"""Worst slices: in which rows does a model fail?"""
