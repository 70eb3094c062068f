"""Models by mechanism: inlets, encoders, decoders and outlets that combine freely into one `Seq2Seq`."""
