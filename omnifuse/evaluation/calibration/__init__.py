"""Can its confidence be trusted? Reliability, temperature, sets and intervals with their coverage, abstention."""
