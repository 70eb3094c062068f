"""Who answers: torch, which can run every model on any device, or an engine made for CPUs that is faster."""
