"""What every other package speaks: columns, tensors with their masks, specs, registries, errors."""
