"""A multinomial logistic regression with a temperature, and its file.

The head is fitted by accelerated gradient steps (Nesterov, 1983; restarted as O'Donoghue and Candes, 2015, propose)
on the mean cross-entropy plus an L2 penalty, with each class of equal weight. The temperature is the one that
minimises the cross-entropy of folds held out by group (Guo et al., 2017, "On calibration of modern neural networks").
"""

import json
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from math import exp, log, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from attrs import evolve, field, frozen

from scribe_core.errors import ConfigError
from scribe_router_trained.features import Features

_PENALTY = 3e-4
_STEPS = 400
_TOLERANCE = 1e-4
_FOLDS = 3
_MAX_WORDS = 3000
_MAX_BYTES = 512 * 1024 * 1024

Vector = Mapping[str, float]


@frozen(kw_only=True)
class Row:
    """What the head is fitted on: features, the id of their prototype, and what folds may not tear apart.

    Rows that are `measured` are real subgoals, which alone calibrate where there are any.
    """

    features: Features
    skill: str
    group: str
    measured: bool
    dense: tuple[Vector, ...] = ()


@frozen(kw_only=True, eq=False)
class Head:
    """Prototypes' ids, the names of the features with their weights, and what was fitted."""

    digest: str
    ids: tuple[str, ...]
    rows: Mapping[str, int]
    idf: Mapping[str, float]
    weights: Any
    """float32 (features + 1, ids); the last row is the bias."""
    own_weight: float
    temperature: float = 1.0
    scale: float = field(default=1.0)

    def probabilities(self, features: Features, dense: Sequence[Vector] = ()) -> Any:
        """Of each id, float64; sums to 1."""
        return _softmax(self.logits(features, dense) / self.temperature)

    def logits(self, features: Features, dense: Sequence[Vector] = ()) -> Any:
        # Row by row, so that a subgoal's route does not depend on its neighbours in a batch.
        vector = vectorised(features, self.idf, self.own_weight, dense)
        known = [(self.rows[name], value) for name, value in vector.items() if name in self.rows]
        total = self.weights[-1].astype(np.float64)
        if known:
            places, values = zip(*known, strict=True)
            total = total + np.asarray(values) @ self.weights[list(places)].astype(np.float64)
        return total


def vectorised(
    features: Features, idf: Mapping[str, float], own_weight: float, dense: Sequence[Vector] = ()
) -> dict[str, float]:
    """Values by the name of the feature; the words of each text have length 1, or `own_weight`."""
    vector = {f"s {name}": value for name, value in features.signs.items()}
    # Pairs are many; each group of features shall weigh about the same.
    vector = {name: value * (0.3 if " & " in name else 1.0) for name, value in vector.items()}
    vector |= _tf_idf(features.request, idf, 2.0)
    vector |= _tf_idf(features.own, idf, 2.0 * own_weight)
    for part in dense:
        vector |= part
    return vector


def _tf_idf(words: Mapping[str, int], idf: Mapping[str, float], length: float) -> dict[str, float]:
    values = {word: (1 + log(count)) * idf[word] for word, count in words.items() if word in idf}
    norm = sqrt(sum(value * value for value in values.values()))
    return {word: length * value / norm for word, value in values.items()} if norm and length else {}


def fit(rows: Sequence[Row], digest: str, own_weight: float) -> Head:
    """A head fitted on all rows, with the temperature that folds held out by group ask for."""
    head = _fitted(rows, digest, own_weight)
    held_out = [row for row in rows if row.measured] or list(rows)
    groups = sorted({row.group for row in held_out})
    fold_of = {group: number % _FOLDS for number, group in enumerate(groups)}
    logits, labels = [], []
    for fold in range(_FOLDS):
        inside = [row for row in rows if fold_of.get(row.group) != fold]
        outside = [row for row in held_out if fold_of[row.group] == fold]
        part = _fitted(inside, digest, own_weight)
        for row in outside:
            if row.skill in part.ids:
                logits.append(_aligned(part.logits(row.features, row.dense), part.ids, head.ids))
                labels.append(head.ids.index(row.skill))
    return evolve(head, temperature=_temperature(np.array(logits), labels)) if logits else head


def _aligned(logits: Any, ids: Sequence[str], all_ids: Sequence[str]) -> Any:
    """Logits in the order of all ids; one that a fold did not see is as unlikely as can be."""
    place = {id_: number for number, id_ in enumerate(ids)}
    return np.array([logits[place[id_]] if id_ in place else -30.0 for id_ in all_ids])


def _temperature(logits: Any, labels: Sequence[int]) -> float:
    """Golden-section search of the temperature in [0.1, 10] that minimises the cross-entropy."""

    def loss(log_t: float) -> float:
        scaled = logits / exp(log_t)
        top = scaled.max(axis=1)
        return float(np.mean(top + np.log(np.exp(scaled - top[:, None]).sum(axis=1)) - scaled[where, labels]))

    where = np.arange(len(labels))
    low, high, golden = log(0.1), log(10), (sqrt(5) - 1) / 2
    for _ in range(40):
        left, right = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return exp((low + high) / 2)


def _fitted(rows: Sequence[Row], digest: str, own_weight: float) -> Head:
    ids = tuple(sorted({row.skill for row in rows}))
    idf = _idf(rows)
    vectors = [vectorised(row.features, idf, own_weight, row.dense) for row in rows]
    names = sorted({name for vector in vectors for name in vector})
    places = {name: number for number, name in enumerate(names)}
    matrix = np.zeros((len(rows), len(names) + 1), dtype=np.float32)
    matrix[:, -1] = 1
    for number, vector in enumerate(vectors):
        for name, value in vector.items():
            matrix[number, places[name]] = value
    labels = np.array([ids.index(row.skill) for row in rows])
    counts = Counter(row.skill for row in rows)
    shares = np.array([1 / (len(ids) * counts[row.skill]) for row in rows], dtype=np.float32)
    weights = _descended(matrix, labels, shares, len(ids))
    return Head(digest=digest, ids=ids, rows=places, idf=idf, weights=weights, own_weight=own_weight)


def _idf(rows: Sequence[Row]) -> dict[str, float]:
    """Weights of the words that occur in two rows at least, the most frequent ones."""
    frequency: Counter[str] = Counter()
    for row in rows:
        frequency.update({*row.features.request, *row.features.own})
    common = sorted((word for word in frequency if frequency[word] > 1), key=lambda w: (-frequency[w], w))
    return {word: log(1 + len(rows) / frequency[word]) for word in common[:_MAX_WORDS]}


def _descended(matrix: Any, labels: Any, shares: Any, classes: int) -> Any:
    """The weights that minimise the penalised cross-entropy."""
    wanted = np.zeros((len(labels), classes), dtype=np.float32)
    wanted[np.arange(len(labels)), labels] = 1
    step = 1 / (0.5 * _largest_eigenvalue(matrix, shares) + _PENALTY)
    weights = np.zeros((matrix.shape[1], classes), dtype=np.float32)
    ahead, momentum = weights, 1.0
    for _ in range(_STEPS):
        residual = (_softmax(matrix @ ahead) - wanted) * shares[:, None]
        gradient = matrix.T @ residual + _PENALTY * ahead
        new = ahead - step * gradient
        if float(np.sum(gradient * (new - weights))) > 0:
            momentum = 1.0
        following = (1 + sqrt(1 + 4 * momentum * momentum)) / 2
        ahead = new + (momentum - 1) / following * (new - weights)
        weights, momentum = new, following
        if float(np.abs(gradient).max()) < _TOLERANCE:
            break
    return weights


def _largest_eigenvalue(matrix: Any, shares: Any) -> float:
    vector = np.ones(matrix.shape[1], dtype=np.float32)
    value = 1.0
    for _ in range(30):
        vector = matrix.T @ (shares * (matrix @ vector))
        value = float(np.linalg.norm(vector))
        vector /= value
    return 1.05 * value


def _softmax(logits: Any) -> Any:
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def save(head: Head, path: Path) -> None:
    """Writes a head as .npz without pickled objects. Raises ConfigError where that is impossible."""
    about = {
        "digest": head.digest,
        "ids": head.ids,
        "features": sorted(head.rows, key=head.rows.__getitem__),
        "idf": dict(head.idf),
        "own_weight": head.own_weight,
        "temperature": head.temperature,
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            np.savez_compressed(file, about=np.array(json.dumps(about)), weights=head.weights)
    except OSError as error:
        raise ConfigError(f"{path}: the head cannot be written: {error.strerror or error}") from None


def load(path: Path) -> Head:
    """Reads a head that `save` wrote. Raises ConfigError for anything else."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(item.file_size for item in archive.infolist()) > _MAX_BYTES:
                raise ValueError(f"larger than {_MAX_BYTES} bytes")
        with np.load(path, allow_pickle=False) as arrays:
            about, weights = json.loads(str(arrays["about"])), arrays["weights"]
        head = Head(
            digest=str(about["digest"]),
            ids=tuple(map(str, about["ids"])),
            rows={str(name): number for number, name in enumerate(about["features"])},
            idf={str(word): float(value) for word, value in about["idf"].items()},
            weights=weights,
            own_weight=float(about["own_weight"]),
            temperature=float(about["temperature"]),
        )
        shape = (len(head.rows) + 1, len(head.ids))
        if weights.shape != shape or not np.isfinite(weights).all() or not 0 < head.temperature < 1000:
            raise ValueError(f"weights of the shape {weights.shape} are not finite ones of the shape {shape}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise ConfigError(f"{path}: no fitted head ({error}); delete it, and it is fitted anew") from None
    return head
