"""Each file is a command that prints a ratio against a named rival, measured in one run."""
