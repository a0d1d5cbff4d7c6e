"""A sensor of a watch that was lost for a while, from the other one and from what came before and after."""
