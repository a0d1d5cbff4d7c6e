"""Parts that were trained elsewhere: found by name or in a local folder, frozen, adapted or trained on."""
