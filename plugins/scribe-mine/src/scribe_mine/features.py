"""Members as vectors: phrases, shapes of arguments, and the words of requests and answers.

Words are TF-IDF, reduced by a truncated SVD (latent semantic analysis, Deerwester et al. 1990). Phrases weigh most,
because what a skill is lies in the situation and in what is done in it; topics only tell apart what is alike in that.
"""

from collections.abc import Sequence
from typing import Any

from scribe_mine.members import Member

DIMENSIONS = 16
"""Of each vector of words."""
MINOR = {
    **dict.fromkeys(("first request", "follow-up request"), 0.25),
    **dict.fromkeys(("request for one thing", "request for several things", "no request"), 0.5),
}
"""Phrases that are guessed from wording, or that leave what is to be done as it is, and weigh less than 1."""
ARGUMENTS = ("numbers", "texts", "switches", "lists", "objects", "text in place of arguments")


def vectors(members: Sequence[Member], words: float, said: float, shape: float) -> Any:
    """A float array (members, features). Phrases weigh 1 each; the other parts have length `words`, `said`, `shape`."""
    import numpy as np

    phrases = sorted(set().union(*(member.phrases for member in members)))
    parts = [
        np.array(
            [[MINOR.get(phrase, 1.0) * (phrase in m.phrases) for phrase in phrases] for m in members],
            dtype=float,
        ),
        shape * _unit(np.array([[m.shape.get(kind, 0) for kind in ARGUMENTS] for m in members], dtype=float)),
        words * _meaning([member.request for member in members]),
        said * _meaning([member.said for member in members]),
    ]
    return np.hstack(parts)


def _meaning(texts: Sequence[Sequence[str]]) -> Any:
    """A vector of length 1 for each text, and 0 for one without words that others have too."""
    import numpy as np
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    seen: dict[str, int] = {}
    for text in texts:
        for word in set(text):
            seen[word] = seen.get(word, 0) + 1
    if sum(count > 1 for count in seen.values()) <= DIMENSIONS:
        return np.zeros((len(texts), 1))
    weights = TfidfVectorizer(analyzer=list, min_df=2, sublinear_tf=True).fit_transform(texts)
    return _unit(TruncatedSVD(DIMENSIONS, random_state=0).fit_transform(weights))


def _unit(rows: Any) -> Any:
    import numpy as np

    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 1e-9)
