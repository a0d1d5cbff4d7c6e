"""Several sources into one table: by key, by time, by windows. Never by the order of rows."""
