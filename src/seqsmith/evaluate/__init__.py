"""How good outputs are: scores with signatures, intervals and paired tests, reports, and pictures of attention."""
