"""Reviews of papers as sequences of word vectors, and what was thought of the paper (Zhao et al. 2020, Section 5.2)."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import itertools
import json
import logging
import os
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ltm.data import files
from ltm.data.base import Dataset, Sequences, Task, fingerprint, of_sequences
from ltm.errors import UserError, reason, shown, unknown
from ltm.machine import user_cache

if TYPE_CHECKING:
    from scipy import sparse  # imported where it is used, as a plan does without

log = logging.getLogger(__name__)

LAYOUTS = ("transpose", "released")

EVALUATIONS = ("-2", "-1", "0", "1", "2")
"""What reviewers thought of a paper, from the worst: the classes."""

LANGUAGE = "es"

SHAPE = "expected {'paper': [{'review': [{'lan', 'evaluation', 'text'}, ...]}, ...]}"

PIECE = 10_000
"""Words that word2vec reads as one sentence, at most."""


@dataclass(frozen=True, kw_only=True)
class Reviews(Dataset):
    """Spanish reviews, word by word; which of five evaluations, -2 to 2, the reviewer gave is asked for after the last word.

    The data are of Keith Norambuena, Lettura and Meneses (2019), as published with Zhao et al. (2020), and are read as their released code reads them. Six reviews of
    388 have no text and are left out. Words are in lower case without punctuation (:func:`words_of`). Each is a vector that word2vec learns from all reviews, test
    part included. A review is cut to its first ``length`` words or followed by zeros. The output is that after its last word, before the zeros.

    Attributes:
        file: the published one, or a path of one like it.
        length: steps of a sequence.
        layout: ``transpose`` gives a network each review's own words. ``released`` is the released code's mistake: it reshapes the numbers (reviews, words,
            vector) of each part to (words, reviews, vector) where it had to transpose them, so that a sequence is made of words of several reviews, under the
            label and the number of words of one.
        vector_size, window: numbers of a word's vector, and words on either side from which it is learned.
        vectors_seed: of word2vec, not of the networks.
        train, validation: reviews that are trained on, and that choose the epoch; the rest is the test part.
        split_seed: of NumPy's legacy generator, whose permutation orders the reviews before they are split.
    """

    kind = "reviews"
    file: str = "reviews.json"
    length: int = 150
    layout: str = "transpose"
    vector_size: int = 16
    window: int = 16
    vectors_seed: int = 0
    train: int = 282
    validation: int = 50
    split_seed: int = 0
    ranges: ClassVar = {
        "length": (1, 100_000), "vector_size": (1, 1000), "vectors_seed": (0, 2**32 - 1), "split_seed": (0, 2**32 - 1),
    }  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layout not in LAYOUTS:
            raise unknown("choice of dataset.layout", self.layout, LAYOUTS)

    def task(self) -> Task:
        path = files.locate(self.file)
        texts, classes = read(path)
        if not texts:
            self.fail(f"{path} has no text in a review with lan '{LANGUAGE}'; expected at least three reviews with text.")
        if len(texts) <= self.train + self.validation:
            self.fail(
                f"train {self.train} and validation {self.validation} leave nothing of {len(texts)} reviews with text to test; expected fewer together."
            )
        vectors = vectors_of(texts, self.vector_size, self.window, self.vectors_seed)
        order = np.random.RandomState(self.split_seed).permutation(len(texts))
        first, second, third = np.split(order, [self.train, self.train + self.validation])
        lacking = [name for i, name in enumerate(EVALUATIONS) if i not in classes[first]]
        if lacking:
            self.fail(f"evaluation {lacking[0]} is of no review in the train part; expected some (another split_seed, or a larger train).")
        train, validation, test = (self.part([texts[i] for i in index], classes[index], vectors) for index in (first, second, third))
        parts = train, validation, test
        return of_sequences(
            self.name, parts, fingerprint(parts, len(EVALUATIONS)), classes=len(EVALUATIONS), labels=EVALUATIONS, labelled=True,
            words=shares_of_words([[texts[i] for i in index] for index in (first, second, third)]),
        )  # fmt: skip

    def part(self, texts: Sequence[Sequence[str]], classes: np.ndarray, vectors: dict[str, np.ndarray]) -> Sequences:
        """One part's reviews."""
        inputs = np.zeros((len(texts), self.length, self.vector_size))
        for mine, text in zip(inputs, texts, strict=True):
            kept = text[: self.length]
            mine[: len(kept)] = [vectors[word] for word in kept]
        if self.layout == "released":
            inputs = inputs.reshape(self.length, len(texts), self.vector_size).swapaxes(0, 1)
        last = np.arange(self.length) == np.array([min(len(text), self.length) - 1 for text in texts])[:, None]
        return Sequences(inputs, last * classes[:, None], last.astype(float))


def words_of(text: str) -> list[str]:
    """A text's words as the released code cleans them: in lower case, without brackets, quotes, hyphens and ¿, and without a comma, full stop or question
    mark before a space. What else there is stays, such as the full stop at the end."""
    text = text.lower()
    for pattern in (", ", r"\. ", r'[()\[\]"]', r"\? ", "[¿-]", r"\. ", r"[\t\\]"):
        text = re.sub(pattern, " " if pattern.endswith(" ") else "", text)
    return text.split()


def shares_of_words(parts: Sequence[Sequence[Sequence[str]]]) -> tuple[sparse.csr_matrix, sparse.csr_matrix, sparse.csr_matrix]:
    """How often each word of the first part came in every text of the three, ``(B, V)``, as a share of the text's words."""
    from scipy import sparse

    place = {word: i for i, word in enumerate(sorted({word for text in parts[0] for word in text}))}
    found = []
    for texts in parts:
        known = [(row, place[word], 1 / len(text)) for row, text in enumerate(texts) for word in text if word in place]
        rows, columns, shares = zip(*known, strict=True) if known else ((), (), ())
        found.append(sparse.csr_matrix((shares, (rows, columns)), (len(texts), len(place))))
    return found[0], found[1], found[2]


def read(path: Path) -> tuple[list[list[str]], np.ndarray]:
    """The words of every review that has some, and its class, ``(B,)``, in the order of the file.

    Raises:
        UserError: no such file, or one of another shape; an evaluation that is none.
    """
    try:
        reviews = [review for paper in json.loads(path.read_text("utf-8"))["paper"] for review in paper["review"]]
        mine = [(words_of(review["text"]), str(review["evaluation"])) for review in reviews if review["lan"] == LANGUAGE]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} cannot be read as reviews ({reason(error)}); {SHAPE}.") from None
    for _, said in mine:
        if said not in EVALUATIONS:
            raise UserError(f"{path}: evaluation '{shown(said)}' of a review; expected one of {', '.join(EVALUATIONS)}.")
    with_text = [(words, EVALUATIONS.index(said)) for words, said in mine if words]
    return [words for words, _ in with_text], np.array([one for _, one in with_text], int)


def vectors_of(texts: Sequence[Sequence[str]], size: int, window: int, seed: int) -> dict[str, np.ndarray]:
    """A vector ``(size,)`` of every word by skip-gram with negative sampling (Mikolov et al. 2013), as gensim's word2vec trains it with one thread.

    The texts are read one after another as one, as the released code does: windows reach over the ends of reviews. Vectors are kept in ``LTM_CACHE_DIR`` or
    the user's cache by the sum of all that decides them. Two processors may round them otherwise: then data have other fingerprints.

    Raises:
        UserError: gensim is not installed.
    """
    words = list(itertools.chain.from_iterable(texts))
    known = sorted(set(words))
    try:
        version = importlib.metadata.version("gensim")
    except importlib.metadata.PackageNotFoundError:
        raise UserError("word vectors are learned by gensim, which is not installed; pip install 'ltm[texts]'.") from None
    key = hashlib.sha256(repr((version, size, window, seed, PIECE, words)).encode()).hexdigest()
    path = cache_folder() / f"{key}.npy"
    vectors = kept(path, (len(known), size))
    if vectors is None:
        vectors = learned(words, known, size, window, seed)
        keep(path, vectors)
    return dict(zip(known, vectors, strict=True))


def learned(words: Sequence[str], known: Sequence[str], size: int, window: int, seed: int) -> np.ndarray:
    """Vectors of the known words ``(V, size)``, float32: the same in every process, whatever PYTHONHASHSEED is."""
    from gensim.models import Word2Vec  # optional

    log.info("Learning vectors of %d words", len(known))
    pieces = [list(words[i : i + PIECE]) for i in range(0, len(words), PIECE)]
    model = Word2Vec(pieces, vector_size=size, window=window, min_count=1, sg=1, seed=seed, workers=1, hashfxn=hash_of)
    return np.stack([model.wv[word] for word in known])


def hash_of(text: str) -> int:
    return zlib.crc32(text.encode())


def cache_folder() -> Path:
    """Where vectors are kept."""
    named = os.environ.get("LTM_CACHE_DIR")
    return (Path(named) if named else user_cache()) / "vectors"


def kept(path: Path, shape: tuple[int, int]) -> np.ndarray | None:
    """Vectors that were kept; None where there are none, or a damaged file."""
    try:
        vectors = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return vectors if vectors.shape == shape and vectors.dtype == np.float32 else None


def keep(path: Path, vectors: np.ndarray) -> None:
    """Write vectors, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            np.save(file, vectors)
        temporary.replace(path)
    except OSError as error:
        log.warning("word vectors cannot be kept in %s (%s); the next process learns them again", path.parent, error)
        with contextlib.suppress(OSError):
            temporary.unlink()
