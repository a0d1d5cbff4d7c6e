"""Words and the handwritten digits they name."""
