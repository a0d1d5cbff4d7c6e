"""How good is what a model makes: samples of test rows in every direction, judged, measured beside real values, and shown."""
