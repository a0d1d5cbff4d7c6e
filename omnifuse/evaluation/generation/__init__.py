"""Measures of what a model makes, as functions of arrays: how near it is to what is real, how various, and whether it was memorised."""
