"""How well a review finds labels that are known to be wrong, and what it says of the collection as it is.

Some labels of each catalogue are changed to another of its genres, drawn with a seed, and the review is asked for the
doubtful ones. The catalogue's own labels are taken to be right, which they are not all, so that precision is told too
low.

    python benchmarks/label_review.py emotify/tracks.csv gtzan/tracks.csv --model musicnn
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from genre_lib.data.catalogue import Catalogue
from genre_lib.data.catalogue_source import open_one
from genre_lib.review import Review, review


def planted(catalogue: Catalogue, share: float, seed: int) -> tuple[Catalogue, set[str]]:
    """The catalogue with a share of its labels changed, and the paths of these."""
    rng = np.random.default_rng(seed)
    tracks, genres = catalogue.tracks.copy(), catalogue.genres
    rows = rng.choice(len(tracks), round(share * len(tracks)), replace=False)
    for row in rows:
        own = tracks["genre"].iloc[row]
        tracks.iloc[row, tracks.columns.get_loc("genre")] = rng.choice([genre for genre in genres if genre != own])
    return replace(catalogue, tracks=tracks), set(tracks["path"].iloc[rows])


def found(told: Review, wrong: set[str]) -> dict[str, float]:
    """Precision and recall of the doubtful, and of as many as were planted from the top."""
    doubtful, first = set(told.doubtful()["path"]), set(told.tracks["path"].head(len(wrong)))
    return {
        "doubtful": len(doubtful),
        "precision": len(doubtful & wrong) / max(len(doubtful), 1),
        "recall": len(doubtful & wrong) / len(wrong),
        "of the first": len(first & wrong) / len(wrong),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalogues", nargs="+")
    parser.add_argument("--model", help="base model; the settings' MODEL_PATH without")
    parser.add_argument("--share", type=float, default=0.1, help="of the labels that are changed")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    print("catalogue | tracks | accuracy as it is | planted | doubtful | precision | recall | of as many from the top")
    for name in options.catalogues:
        catalogue = open_one(name)
        accuracy = review(catalogue, options.model).scores["accuracy"]
        as_it_is = f"{accuracy['value']:.3f} [{accuracy['low']:.3f}–{accuracy['high']:.3f}]"
        for seed in range(options.seeds):
            changed, wrong = planted(catalogue, options.share, seed)
            row = found(review(changed, options.model, seed=seed), wrong)
            numbers = " | ".join(f"{row[key]:.2f}" for key in ("precision", "recall", "of the first"))
            print(f"{name} | {len(catalogue)} | {as_it_is} | {len(wrong)} | {row['doubtful']} | {numbers}", flush=True)


if __name__ == "__main__":
    main()
