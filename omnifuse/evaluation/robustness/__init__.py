"""Does it hold? Quality against planted damage, column by column."""
