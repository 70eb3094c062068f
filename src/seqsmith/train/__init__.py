"""From a corpus and a model to checkpoints: schedule, optimizer, loop, journal."""
