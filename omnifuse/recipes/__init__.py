"""One folder a task: a recipe, and where its data come from."""
