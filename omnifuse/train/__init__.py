"""Step 3: the recipe, the loop, optimizers, checkpoints and tracking."""
