"""Written and spoken digits."""
