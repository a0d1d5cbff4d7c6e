"""Encoders: values of one column → tokens. An encoder knows one modality and nothing of the others."""
