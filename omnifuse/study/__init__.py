"""What trains several models: likely label errors, what to label next."""
