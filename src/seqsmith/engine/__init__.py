"""Who runs the decoder's steps. So far torch does, on any device."""
