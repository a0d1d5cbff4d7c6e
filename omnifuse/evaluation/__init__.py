"""Step 4: is it good, and does it use every modality? Nothing is trained here."""
