"""Files of examples: reading them strictly and telling what is in them."""
