"""Reviews as word vectors: cleaning, parts, padding, the released layout, and vectors that any process learns alike."""

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ltm import data
from ltm.data import Task, reviews
from ltm.errors import UserError

pytest.importorskip("gensim")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, so that vectors are learned."""
    data.forget()
    monkeypatch.setenv("LTM_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "vectors"


def task(file: Path | str, **keys: object) -> Task:
    small = {"length": 9, "vector_size": 3, "window": 2, "train": 12, "validation": 4}
    return data.build({"kind": "reviews", "name": "reviews", "file": str(file), **small, **keys})


def of_file(path: Path) -> tuple[list[list[str]], np.ndarray, dict[str, np.ndarray]]:
    """Words, classes and vectors of a file, in its order."""
    texts, classes = reviews.read(path)
    return texts, classes, reviews.vectors_of(texts, 3, 2, 0)


def test_words_are_lower_case_without_punctuation_before_a_space() -> None:
    text = '¿Por qué (en "breve")? El autor, M. Pérez: 3,5 [uno-dos]...  Bien, ,  dice. "Fin".'
    assert reviews.words_of(text) == ["por", "qué", "en", "breve", "el", "autor", "m", "pérez:", "3,5", "unodos.", "bien", "dice", "fin."]
    assert reviews.words_of(" \t- ") == []


def test_a_review_is_its_words_followed_by_zeros_and_read_after_the_last_word(made_up_reviews: Path) -> None:
    texts, classes, vectors = of_file(made_up_reviews)
    assert (len(texts), {len(text) for text in texts}) == (20, {6, 8, 10, 12, 14})
    built = task(made_up_reviews)
    order = np.random.RandomState(0).permutation(20)
    parts = built.train, built.validation, built.test
    assert [len(part) for part in parts] == [12, 4, 4]
    for part, index in zip(parts, np.split(order, [12, 16]), strict=True):
        for inputs, targets, weight, i in zip(part.inputs, part.targets, part.weight, index, strict=True):
            kept = texts[i][:9]
            np.testing.assert_array_equal(inputs[: len(kept)], [vectors[word] for word in kept])
            assert not inputs[len(kept) :].any()
            assert targets[len(kept) - 1] == classes[i]
            np.testing.assert_array_equal(np.flatnonzero(weight), [len(kept) - 1])
    assert (built.classes, built.labels, built.labelled, built.input_size, built.loss) == (5, ("-2", "-1", "0", "1", "2"), True, 3, "cross_entropy")  # fmt: skip


def test_a_bag_of_words_has_the_shares_of_the_training_parts_words(made_up_reviews: Path) -> None:
    built = task(made_up_reviews)
    assert built.words is not None
    texts, _, _ = of_file(made_up_reviews)
    order = np.random.RandomState(0).permutation(20)
    known = sorted({word for i in order[:12] for word in texts[i]})
    assert [part.shape for part in built.words] == [(12, len(known)), (4, len(known)), (4, len(known))]
    np.testing.assert_allclose(built.words[0].sum(1), 1.0)
    for part, index in zip(built.words, np.split(order, [12, 16]), strict=True):
        for row, i in zip(part.toarray(), index, strict=True):
            np.testing.assert_allclose(row, [texts[i].count(word) / len(texts[i]) for word in known])


def test_the_released_layout_mixes_the_words_of_a_part_and_keeps_labels_and_lengths(made_up_reviews: Path) -> None:
    plain, mixed = task(made_up_reviews), task(made_up_reviews, layout="released")
    for name in ("train", "validation", "test"):
        a, b = getattr(plain, name), getattr(mixed, name)
        B, T, D = a.inputs.shape
        flat = a.inputs.ravel()
        for t in range(T):
            for i in range(B):
                first = (t * B + i) * D
                np.testing.assert_array_equal(b.inputs[i, t], flat[first : first + D])
        np.testing.assert_array_equal(a.weight, b.weight)
        np.testing.assert_array_equal(a.targets, b.targets)
        assert (a.inputs != b.inputs).any()
    assert plain.fingerprint != mixed.fingerprint


def test_keys_decide_the_numbers_and_the_name_does_not(made_up_reviews: Path) -> None:
    marks = {
        task(made_up_reviews, **keys).fingerprint for keys in ({}, {"name": "b"}, {"split_seed": 2}, {"vectors_seed": 1}, {"window": 1})
    }
    assert len(marks) == 4


def test_vectors_are_kept_whole_and_a_damaged_file_is_made_anew(
    made_up_reviews: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = task(made_up_reviews).fingerprint
    (path,) = cache.iterdir()
    whole = path.read_bytes()
    data.forget()
    monkeypatch.setattr(reviews, "learned", None)
    assert task(made_up_reviews).fingerprint == first
    monkeypatch.undo()
    for damaged in (whole[: len(whole) // 2], b"", whole[:-4]):
        monkeypatch.setattr(reviews, "cache_folder", lambda: cache)
        path.write_bytes(damaged)
        data.forget()
        assert task(made_up_reviews).fingerprint == first
        assert path.read_bytes() == whole


def test_without_a_cache_vectors_are_learned_and_the_log_says_so(
    made_up_reviews: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache.parent.write_text("a file in the way")
    assert task(made_up_reviews).classes == 5
    assert "cannot be kept" in caplog.text


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"layout": "mixed"}, "unknown choice of dataset.layout 'mixed'. There are: released, transpose"),
        ({"train": 16}, "train 16 and validation 4 leave nothing of 20 reviews with text to test"),
        ({"train": 4}, "evaluation -?[0-2] is of no review in the train part; expected some"),
        ({"length": 0}, "dataset.length is 0; expected a whole number of at least 1"),
        ({"vectors_seed": -1}, "dataset.vectors_seed is -1"),
        ({"symbols": True}, "unknown key of dataset 'reviews': 'symbols'"),
    ],
)
def test_bad_keys_are_one_line(made_up_reviews: Path, keys: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        task(made_up_reviews, **keys)


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ("{", "cannot be read as reviews .JSONDecodeError"),
        ([], "cannot be read as reviews .TypeError.*expected {'paper'"),
        ({"paper": [{"review": [{"lan": "es", "text": "a"}]}]}, "KeyError: 'evaluation'"),
        ({"paper": [{"review": [{"lan": "es", "text": 3, "evaluation": "1"}]}]}, "AttributeError"),
        ({"paper": [{"review": [{"lan": "es", "text": "a", "evaluation": "3"}]}]}, "evaluation '3' of a review; expected one of -2, -1, 0, 1, 2"),
        ({"paper": [{"review": [{"lan": "es", "text": " ,", "evaluation": "1"}]}]}, "leave nothing of 1 reviews"),
        ({"paper": [{"review": [{"lan": "es", "text": "- ", "evaluation": "1"}]}]}, "has no text in a review with lan 'es'"),
    ],
)  # fmt: skip
def test_files_that_are_none_are_one_line(tmp_path: Path, held: object, message: str) -> None:
    path = tmp_path / "own.json"
    path.write_text(held if isinstance(held, str) else json.dumps(held))
    with pytest.raises(UserError, match=message):
        task(path)
    with pytest.raises(UserError, match="is not there"):
        task(tmp_path / "none.json")


def test_without_gensim_the_message_names_the_extra(made_up_reviews: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(UserError, match="gensim, which is not installed; pip install 'ltm.texts.'"):
        task(made_up_reviews)


def test_the_published_reviews_are_382_of_five_classes(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTM_DATA_DIR", str(real_data))
    monkeypatch.setattr(reviews, "vectors_of", lambda texts, size, window, seed: {w: np.zeros(size) for text in texts for w in text})
    built = data.build({"kind": "reviews", "name": "reviews"})
    parts = built.train, built.validation, built.test
    assert [part.inputs.shape for part in parts] == [(282, 150, 16), (50, 150, 16), (50, 150, 16)]
    assert sum(np.bincount(part.targets[part.weight > 0], minlength=5) for part in parts).tolist() == [85, 58, 59, 81, 99]
    assert built.classes == 5


@pytest.mark.long
def test_vectors_of_the_published_reviews_are_the_same_in_every_process(real_data: Path, tmp_path: Path) -> None:
    code = "from ltm import data; print(data.build({'kind': 'reviews', 'name': 'reviews'}).fingerprint)"
    marks = []
    for seed in ("1", "2"):
        settings = {"PYTHONHASHSEED": seed, "LTM_DATA_DIR": str(real_data), "LTM_CACHE_DIR": str(tmp_path / seed)}
        done = subprocess.run([sys.executable, "-c", code], env=os.environ | settings, capture_output=True, text=True, check=True)
        marks.append(done.stdout)
        assert list((tmp_path / seed / "vectors").iterdir())
    assert len(marks[0]) == 65
    assert marks[0] == marks[1]


def test_vectors_do_not_depend_on_the_hashes_of_a_process(made_up_reviews: Path, tmp_path: Path) -> None:
    code = f"from pathlib import Path; from ltm.data import reviews; print(reviews.vectors_of(reviews.read(Path({str(made_up_reviews)!r}))[0], 3, 2, 0)['tema'].tolist())"
    settings = {"PYTHONHASHSEED": "12345", "LTM_CACHE_DIR": str(tmp_path / "other")}
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | settings, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(of_file(made_up_reviews)[2]["tema"].tolist())
