"""Recordings to frames: read, resample, spectrum, normalise, augment; and back to times: silences, subtitles."""
