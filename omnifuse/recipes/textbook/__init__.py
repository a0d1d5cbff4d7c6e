"""The textbook example of fusion."""
