"""What a recipe will take before it is trained: weights, work, memory, time, here and on a cluster."""
