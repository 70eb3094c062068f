"""Losses. Each returns a sum and a count, so that accumulation, devices and reports divide once."""
