"""Does fusion help, which one, and what does it cost? Many models, the same rows, the same budget, the same seeds."""
