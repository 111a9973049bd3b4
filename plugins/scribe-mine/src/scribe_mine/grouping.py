"""Members to clusters, by density (HDBSCAN, Campello, Moulavi and Sander 2013; the implementation of scikit-learn)."""

from collections.abc import Sequence
from typing import Any

from scribe_mine.features import vectors
from scribe_mine.members import Member

SAME = 0.9
"""Clusters whose centres are no farther apart than this are one: they differ by less than a phrase."""
NOISE = 1.5
"""A member farther than this from every cluster's centre belongs to none."""


def grouped(
    members: Sequence[Member], *, min_size: int, words: float, said: float, shape: float
) -> list[tuple[Member, ...]]:
    """The members of each cluster, the most central first; the largest cluster first. Some members are in none."""
    if len(members) < 2 * min_size:
        return []
    rows = vectors(members, words, said, shape)
    labels = _labels(rows, min_size)
    found = sorted(set(labels) - {-1}, key=lambda label: (-labels.count(label), labels.index(label)))
    own = ([index for index, each in enumerate(labels) if each == label] for label in found)
    return [_central_first([members[index] for index in which], rows[which]) for which in own]


def _labels(rows: Any, min_size: int) -> list[int]:
    import numpy as np
    from sklearn.cluster import HDBSCAN

    model = HDBSCAN(min_cluster_size=min_size, min_samples=min(min_size, 5), copy=True)
    labels = model.fit_predict(rows)
    names = sorted(set(labels.tolist()) - {-1})
    if not names:
        return labels.tolist()
    centres = np.stack([rows[labels == name].mean(axis=0) for name in names])
    for index in np.flatnonzero(labels < 0):
        distances = np.linalg.norm(centres - rows[index], axis=1)
        if distances.min() <= NOISE:
            labels[index] = names[int(distances.argmin())]
    return _merged(labels, centres).tolist()


def _merged(labels: Any, centres: Any) -> Any:
    """The labels, with one label for clusters whose centres are no farther apart than `SAME`."""
    import numpy as np
    from sklearn.cluster import AgglomerativeClustering

    if len(centres) < 2:
        return labels
    model = AgglomerativeClustering(None, distance_threshold=SAME, linkage="average")
    return np.append(model.fit_predict(centres), -1)[labels]


def _central_first(members: list[Member], rows: Any) -> tuple[Member, ...]:
    import numpy as np

    order = np.argsort(np.linalg.norm(rows - rows.mean(axis=0), axis=1), kind="stable")
    return tuple(members[index] for index in order)
