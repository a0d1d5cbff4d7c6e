"""Heads: what is fused → an answer and its loss. A head knows one kind of target."""
