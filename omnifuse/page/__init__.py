"""Pages that stand alone: one HTML file with its look, its figures, its pictures and its sounds inside; no network, no other file."""
