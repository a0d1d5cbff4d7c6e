"""Words and the spoken digits they name."""
