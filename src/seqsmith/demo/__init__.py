"""Data of our own to show the road with: made on the spot, so that nothing needs to be fetched."""
