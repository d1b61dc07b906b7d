"""Metrics: textbook values by hand, and the same bits of a lane in any company."""

import numpy as np
import pytest

from ltm.training.metrics import METRICS, OF_CLASSES, OF_NUMBERS, measured


def test_errors_have_their_textbook_values() -> None:
    got = measured(("rmse", "mae", "mape"), np.array([[[1.0], [2.0], [5.0]]]), np.array([[[0.0], [4.0], [4.0]]]))
    assert got["rmse"][0] == pytest.approx(np.sqrt((1 + 4 + 1) / 3))
    assert got["mae"][0] == pytest.approx(4 / 3)
    assert got["mape"][0] == pytest.approx(100 * (0.5 + 0.25) / 2), "a target of 0 has no relative error"
    assert np.isnan(METRICS["mape"](np.ones((1, 2, 1)), np.zeros((1, 2, 1)))[0])


def test_errors_are_means_over_steps_and_outputs() -> None:
    predicted, targets = np.zeros((1, 2, 2)), np.array([[[1.0, 2.0], [3.0, 4.0]]])
    assert METRICS["mae"](predicted, targets)[0] == 2.5
    assert METRICS["rmse"](predicted, targets)[0] == pytest.approx(np.sqrt(30 / 4))


def test_the_worst_error_is_that_of_one_step_on_either_side() -> None:
    predicted = np.array([[[0.0], [-3.0]], [[2.0], [1.0]]])
    assert METRICS["worst"](predicted, np.array([[[1.0], [0.0]], [[1.0], [1.0]]])).tolist() == [3.0, 1.0]


def logits(*classes: int, count: int = 3) -> np.ndarray:
    """Outputs that predict these classes."""
    return np.eye(count)[list(classes)][None]


def test_scores_of_classes_have_their_textbook_values() -> None:
    """As scikit-learn's precision_score, recall_score and f1_score of these, average='macro', zero_division=0."""
    predicted, targets = logits(0, 0, 1, 1, 1, 0), np.array([[0, 1, 1, 1, 2, 0]])
    got = measured(("accuracy", "precision", "recall", "f1"), predicted, targets)
    assert got["accuracy"][0] == pytest.approx(4 / 6)
    assert got["precision"][0] == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert got["recall"][0] == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert got["f1"][0] == pytest.approx((4 / 5 + 4 / 6 + 0) / 3)


def test_a_class_that_occurs_nowhere_is_not_counted() -> None:
    predicted, targets = logits(0, 1, 1, count=5), np.array([[0, 1, 0]])
    assert METRICS["recall"](predicted, targets)[0] == pytest.approx((1 / 2 + 1) / 2)


def test_loss_of_classes_is_the_mean_cross_entropy() -> None:
    predicted = np.array([[[1.0, 2.0, 0.5], [1e4, 0.0, 0.0]]])
    p = np.exp(predicted[0, 0]) / np.exp(predicted[0, 0]).sum()
    assert METRICS["loss"](predicted, np.array([[1, 0]]))[0] == pytest.approx(-np.log(p[1]) / 2)


def test_yes_or_no_has_two_classes_an_output() -> None:
    predicted = np.array([[[2.0, -1.0], [-3.0, -2.0], [0.5, 4.0], [1.0, -4.0]]])
    targets = np.array([[[True, True], [False, False], [False, True], [True, False]]])
    got = measured(("accuracy", "precision", "recall", "f1", "loss"), predicted, targets)
    assert got["accuracy"][0] == 6 / 8
    assert got["precision"][0] == pytest.approx(np.mean([(1 + 2 / 3) / 2, (2 / 3 + 1) / 2]))
    assert got["recall"][0] == pytest.approx(np.mean([(1 / 2 + 1) / 2, (1 + 1 / 2) / 2]))
    assert got["f1"][0] == pytest.approx(np.mean([(2 / 3 + 4 / 5) / 2, (4 / 5 + 2 / 3) / 2]))
    p = 1 / (1 + np.exp(-predicted))
    assert got["loss"][0] == pytest.approx(-np.log(np.where(targets, p, 1 - p)).mean())


def test_a_step_is_ranked_where_all_that_is_yes_lies_above_the_rest() -> None:
    predicted = np.array([[[3.0, 1.0, 2.0], [3.0, 1.0, 2.0], [1.0, 1.0, 0.0], [-5.0, -4.0, -6.0]]])
    targets = np.array([[[True, False, True], [True, True, False], [True, False, False], [False, True, False]]])
    assert METRICS["ranked"](predicted, targets)[0] == 2 / 4  # a tie is wrong; the level does not count
    assert METRICS["ranked"](predicted, np.array([[0, 1, 2, 1]]))[0] == METRICS["accuracy"](predicted, np.array([[0, 1, 2, 1]]))[0] == 2 / 4


@pytest.mark.parametrize("name", METRICS)
def test_a_lane_has_the_same_bits_in_any_company(name: str) -> None:
    rng = np.random.default_rng(0)
    for n, O in ((1, 2), (7, 3), (1000, 5)):
        predicted = rng.normal(size=(9, n, O))
        targets = rng.integers(0, O, (9, n)) if name in OF_CLASSES else rng.normal(size=(9, n, O))
        whole = METRICS[name](predicted, targets)
        other = METRICS[name](np.asfortranarray(predicted), np.asfortranarray(targets))
        np.testing.assert_array_equal(whole, other)
        for i in range(9):
            assert METRICS[name](predicted[i : i + 1], targets[i : i + 1])[0] == whole[i]
            assert METRICS[name](predicted[[3, i, 5]], targets[[3, i, 5]])[1] == whole[i]


def test_every_metric_is_of_numbers_or_of_classes() -> None:
    assert set(METRICS) == set(OF_NUMBERS) | set(OF_CLASSES)


def test_a_lane_is_measured_on_as_many_outputs_as_it_has_targets() -> None:
    predicted = np.array([[[1.0], [4.0], [np.nan]], [[1.0], [2.0], [6.0]]])
    got = measured(("rmse", "mae"), predicted, [np.array([[0.0], [1.0]]), np.array([[1.0], [2.0], [3.0]])])
    np.testing.assert_allclose(got["mae"], [2.0, 1.0])
    np.testing.assert_allclose(got["rmse"], [5.0**0.5, 3.0**0.5])
