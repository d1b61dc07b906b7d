"""The command line: what it composes to, and every mistake in one message with the valid names."""

import pytest

from ltm.errors import UserError
from sweeps import config, plan


def labels(*overrides: str) -> list[str]:
    return list(plan.make(config.compose(overrides)).labels.values())


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["trainig.lr=1"], "unknown key 'trainig'. Did you mean 'training'"),
        (["+foo=1"], "unknown key 'foo'.*There are: .*seeds"),
        (["training.lrr=1"], "unknown key of training: 'lrr'. Did you mean 'lr'"),
        (["+training.lrr=1"], "unknown key of training: 'lrr'"),
        (["model.hiden_size=2"], "unknown key of model: 'hiden_size'. Did you mean 'hidden_size'"),
        (["+model.hiden_size=2"], "unknown key of model 'mrnn': 'hiden_size'"),
        (["+dataset.sed=2"], "unknown key of dataset 'arfima': 'sed'. Did you mean 'seed'"),
        (["model=mrn"], "unknown model 'mrn'. Did you mean 'mrnn'.*There are: lstm, mist"),
        (["dataset=dow"], "unknown dataset 'dow'.*There are: arfima"),
        (["+experiment=k_swep"], "unknown experiment 'k_swep'. Did you mean 'k_sweep'"),
        (["experiment=k_sweep"], r"write \+experiment=k_sweep"),
        (["tracking=onlin"], "unknown tracking 'onlin'"),
        (["engine=gpu"], "unknown engine 'gpu'.*auto"),
        (["baselines=some"], "unknown choice of baselines 'some'.*all, none"),
        (["seeds=0"], "leaves no seed"),
        (["seeds=9-3"], "backwards; did you mean seeds=3-9"),
        (["seeds=ten"], "seeds=ten is not understood"),
        (["seeds=[1,1]"], "repeated seed"),
        (["model.K=0"], "'K' is 0; expected a whole number of at least 1"),
        (["training.lr=-1"], "training.lr is -1.0; expected a number above 0"),
        (["training.lr=fast"], "training.lr"),
        (["training.max_epochs=0"], "training.max_epochs is 0"),
        (["grid.Q=[1]"], "unknown grid key 'Q'"),
        (["grid.K=[]"], "grid.K is empty"),
        (["grid.model=[rnn,gruu]"], "unknown model 'gruu'"),
        (["+experiment=k_sweep", "model=rnn"], r"no effect, the grid varies model; write grid.model=\[rnn\]"),
        (["+experiment=k_sweep", "model.delays=4"], "delays"),
        (["seeds"], "not an override; expected KEY=VALUE"),
        (["compute.pack_size=0"], "compute.pack_size is 0"),
    ],
)
def test_a_mistake_is_one_line_with_what_is_valid(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        plan.make(config.compose(overrides))
    assert "\n" not in str(error.value)


def test_the_k_sweep_is_four_models_by_four_lengths() -> None:
    found = labels("+experiment=k_sweep")
    assert len(found) == 16
    assert found[0] == "mrnn K=25 / arfima"


def test_a_key_that_a_model_lacks_multiplies_nothing() -> None:
    assert labels("grid.model=[rnn,mrnn]", "grid.K=[5,10]") == ["rnn / arfima", "mrnn K=5 / arfima", "mrnn K=10 / arfima"]


def test_overrides_of_a_key_apply_to_every_model_of_the_grid_that_has_it() -> None:
    assert labels("grid.model=[rnn,mrnn]", "model.K=7") == ["rnn / arfima", "mrnn K=7 / arfima"]


def test_full_is_the_whole_past() -> None:
    assert labels("model.K=full") == ["mrnn K=4000 / arfima"]


def test_settings_that_vary_are_named_in_the_label() -> None:
    assert labels("model=rnn", "grid.lr=[0.1,0.01]") == ["rnn lr=0.1 / arfima", "rnn lr=0.01 / arfima"]


@pytest.mark.parametrize(("given", "seeds"), [(3, [0, 1, 2]), ("5-7", [5, 6, 7]), ([4, 2], [4, 2]), ("2", [0, 1])])
def test_seeds_are_a_number_a_range_or_a_list(given: object, seeds: list[int]) -> None:
    assert config.parse_seeds(given) == seeds
