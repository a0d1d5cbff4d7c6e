"""What is wrong with the rows: duplicates and near duplicates, rare and misspelt labels, leaks across splits."""
