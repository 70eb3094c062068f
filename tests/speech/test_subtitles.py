"""Subtitles that players take: the clock, the escapes, and captions that can be read."""

from __future__ import annotations

from seqsmith.speech.subtitles import Timed, captions, srt, vtt


def test_subrip_numbers_its_captions_and_writes_a_comma():
    lines = [Timed("one", 0.0, 1.5), Timed("two\n\nthree", 3599.9996, 3661.25)]
    assert srt(lines) == ("1\n00:00:00,000 --> 00:00:01,500\none\n\n2\n01:00:00,000 --> 01:01:01,250\ntwo three\n")


def test_webvtt_has_its_header_and_escapes_markup():
    assert vtt([Timed("a < b & c", 0.0, 1.0)]) == ("WEBVTT\n\n00:00:00.000 --> 00:00:01.000\na &lt; b &amp; c\n")


def test_captions_hold_every_word_in_order_and_end_at_pauses_and_bounds():
    words = [Timed(f"word{number}", number * 0.3, number * 0.3 + 0.2) for number in range(60)]
    words.append(Timed("later", 30.0, 30.5))
    found = list(captions(words))
    assert " ".join(caption.text for caption in found).split() == [word.text for word in words]
    assert all(len(caption.text) <= 84 for caption in found)
    assert all(caption.end_seconds - caption.start_seconds <= 6.0 for caption in found)
    assert (found[-1].text, found[-1].start_seconds) == ("later", 30.0)
