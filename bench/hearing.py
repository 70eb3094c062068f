"""How fast recordings are answered: seconds of work for a second of sound (the real-time factor), on one thread.

    OMP_NUM_THREADS=1 python bench/hearing.py run/model dev.tsv --beams 1 8

Reading the files, analysis, the model and the search are in the time, importing and opening the model are not.
Recordings are answered one by one and in the batches that the model's settings make; the best round of each counts. A
busy machine is refused; with --anyway CPU seconds are counted in place of seconds on the clock.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import machine

from seqsmith import config
from seqsmith.data.columns import placed
from seqsmith.data.corpus import read_rows
from seqsmith.data.counts import Counts
from seqsmith.featurise import roles
from seqsmith.predictor import Predictor
from seqsmith.speech.codec import FRAMES_PER_SECOND


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--beams", nargs="+", type=int, default=[1])
    parser.add_argument("--rounds", type=int, default=2)
    machine.add_options(parser)
    options = parser.parse_args(arguments)
    load = machine.load_or_exit(options, name="hearing")
    predictor = Predictor.open(options.model, threads=1)
    names = _recordings(predictor.settings, options.manifest)
    frames = sum(len(recording) for recording in predictor.featuriser.sources({"source": names}))
    clock = machine.clock_of(options)
    for beam in options.beams:
        for batch_tokens in (1, predictor.settings.search.batch_tokens):
            seconds = []
            for _ in range(options.rounds):
                began = clock()
                predictor.predict(names, beam=beam, batch_tokens=batch_tokens)
                seconds.append(clock() - began)
            row: machine.Row = {
                "model": str(options.model),
                "recordings": len(names),
                "sound_seconds": round(frames / FRAMES_PER_SECOND, 1),
                "beam": beam,
                "batch_frames": batch_tokens,
                "real_time_factor": round(min(seconds) * FRAMES_PER_SECOND / frames, 4),
            }
            machine.keep(row, options, load=load)


def _recordings(settings: config.Settings, manifest: Path) -> list[str]:
    """The recordings of a manifest, as the predictor takes them."""
    columns = roles(settings)
    blocks = read_rows(config.Corpus(path=str(manifest)), columns, settings.data, Counts())
    return [name for rows in blocks for name in placed(rows, columns, manifest.parent).fields["source"]]


if __name__ == "__main__":
    main()
