"""Activities from a watch."""
