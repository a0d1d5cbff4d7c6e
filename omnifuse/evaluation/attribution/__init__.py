"""Per row: which column, and which part of its value, decided the answer."""
