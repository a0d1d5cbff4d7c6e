"""A trained model on disk and in use: raw rows in, raw answers out."""
