"""How the sensors of a watch go on."""
