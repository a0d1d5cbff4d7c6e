"""Written digits, spoken digits and their names, each from any of the others."""
