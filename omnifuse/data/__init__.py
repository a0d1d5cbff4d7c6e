"""Step 1, preprocessing: sources → canonical raw values → splits → one dataset on disk → batches of tensors."""
