"""Activities from radio links."""
