"""Tables of numbers and sequences of vectors: reading, time, windows, scaling, calendar."""
