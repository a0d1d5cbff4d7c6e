"""Activities from radio links, a column each."""
