"""What the page says about a column, one file for each kind of modality."""
