"""Text to ids and back: normalisation, tokenisers, subword regularisation, and the codec that ties them together."""
