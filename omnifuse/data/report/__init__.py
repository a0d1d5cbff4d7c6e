"""`data.html`: what is in a prepared dataset, to be looked at."""
