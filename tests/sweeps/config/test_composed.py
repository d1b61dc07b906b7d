"""The command line: what it composes to, and every mistake in one message with the valid names."""

from pathlib import Path

import pytest

from ltm import cells
from ltm.errors import UserError
from sweeps import config, plan
from sweeps.search.halving import Halving


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
        (["model=mrn"], "unknown model 'mrn'. Did you mean 'mrnn'.*There are: .*gru, .*lstm, .*mist"),
        (["dataset=dow"], "unknown dataset 'dow'.*There are: adding, arfima"),
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
        (["training.batch=16.5"], "training.batch: Value '16.5' of type 'float' could not be converted to Integer"),
        (["grid.batch=[2.5]"], "training.batch is 2.5; expected a whole number of at least 1"),
        (["training.batch=0"], "training.batch is 0"),
        (
            ["training.optimizer=adamm"],
            "unknown optimizer 'adamm'. Did you mean 'adam'.*There are: adagrad, adam, adamw, rmsprop, sgd",
        ),
        (["training.order=random"], "unknown order 'random'"),
        (["training.schedule=step"], "unknown schedule 'step'.*constant, cosine, linear"),
        (["training.loss=huberr"], "unknown loss 'huberr'"),
        (["training.loss=cross_entropy"], "cross_entropy.*targets"),
        (["dataset=latching", "model=lstm", "training.loss=squared"], "squared.*targets"),
        (["training.momentum=1"], "training.momentum is 1; expected a number of at least 0 and below 1"),
        (["training.beta2=1.5"], "training.beta2 is 1.5"),
        (["training.eps=0"], "training.eps is 0"),
        (["grid.dropout=[0.1]"], "grid.dropout may be that of model or training; write grid.model.dropout or grid.training.dropout"),
        (["model.layers=0"], "'layers' is 0"),
        (["model.cells=[mrnnf,lstn]"], "unknown cell 'lstn'. Did you mean 'lstm'"),
        (["grid.cells=[mrnnf,lstm]"], r"expected a list of networks.*grid.cells=\[\[mrnnf,lstm\]\]"),
        (["model.bidirectional=true"], "reads the future"),
        (["model.readout=first"], "'first'"),
        (["compute.device=gpu"], "unknown device: compute.device 'gpu'"),
        (["compute.memory=0"], "compute.memory is 0"),
        (["engine=reference"], "unknown engine 'reference'. There are: auto, cpu, cuda, torch"),
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


def test_keys_of_the_network_are_had_by_every_model() -> None:
    assert labels("model=lstm,rnn", "model.layers=2,3")[:2] == ["lstm layers=2 / arfima", "lstm layers=3 / arfima"]
    assert labels("model=lstm", "model.layers=2") == ["lstm / arfima"]
    assert config.compose(["model=lstm,rnn", "model.layer_norm=true"]).models[1]["layer_norm"] is True


def test_full_is_the_whole_past() -> None:
    assert labels("model.K=full") == ["mrnn K=4000 / arfima"]


def test_settings_that_vary_are_named_in_the_label() -> None:
    assert labels("model=rnn", "grid.lr=[0.1,0.01]") == ["rnn lr=0.1 / arfima", "rnn lr=0.01 / arfima"]


@pytest.mark.parametrize(("given", "seeds"), [(3, [0, 1, 2]), ("5-7", [5, 6, 7]), ([4, 2], [4, 2]), ("2", [0, 1])])
def test_seeds_are_a_number_a_range_or_a_list(given: object, seeds: list[int]) -> None:
    assert config.parse_seeds(given) == seeds


def test_keys_of_a_grid_may_be_named_with_their_section() -> None:
    assert labels("grid.model.K=[25,50]", "grid.training.lr=[0.1]") == ["mrnn K=25 lr=0.1 / arfima", "mrnn K=50 lr=0.1 / arfima"]
    both = labels("grid.model=[rnn,mrnn]", "grid.model.K=[5,10]", "grid.dataset=[arfima,random_rnn]", "grid.dataset.seed=[0,1]")
    assert both[0] == "rnn / arfima seed=0"
    assert len(both) == 2 * 2 * 3
    assert labels("grid={model:{K:[25,50]}}") == ["mrnn K=25 / arfima", "mrnn K=50 / arfima"]
    assert labels("+experiment=k_sweep", "~grid.K", "grid.model.K=[7]")[0] == "mrnn K=7 / arfima"


def test_a_grid_with_sections_has_the_conditions_of_one_without() -> None:
    bare, full = (plan.make(config.compose([f"grid.{key}=[5,9]", "seeds=2"])) for key in ("K", "model.K"))
    assert bare == full


BLOCKS = (
    "model=rnn",
    "grid.lr=0.2",
    "+blocks.a={dataset: [reber], hidden_size: 3}",
    "+blocks.b={dataset: [latching], length: [5, 6], lr: 0.1}",
)


def test_blocks_are_grids_that_follow_each_other() -> None:
    study = plan.make(config.compose(BLOCKS))
    assert list(study.labels.values()) == ["rnn / reber length=50", "rnn / latching length=5", "rnn / latching length=6"]
    found = [(c.model["hidden_size"], c.training["lr"]) for c in study.conditions]
    assert found == [(3, 0.2), (1, 0.1), (1, 0.1)], "a block's keys come before the grid's, and are its own"
    assert labels(*BLOCKS, "blocks.a.hidden_size=[3,4]")[1] == "rnn hidden_size=4 / reber length=50"
    assert labels("+experiment=lstm1997", "~blocks.adding")[-1] == "lstm1997 truncated=False / temporal_order variant=b length=100"
    with pytest.raises(UserError, match="several conditions of the blocks are called 'rnn / reber'.* as a list"):
        labels("model=rnn", "+blocks.a={dataset: [reber], lr: 0.1}", "+blocks.b={dataset: [reber], lr: 0.2}")
    with pytest.raises(UserError, match="blocks.a is 3; expected keys with a value or a list"):
        labels("+blocks.a=3")


def test_dots_in_the_keys_of_a_grids_yaml_are_sections(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    grid = "grid:\n  model: [rnn, mrnn]\n  model.K: [5, 10]\n  dataset.seed: [0, 1]\n"
    (tmp_path / "experiment" / "own.yaml").write_text(f"# @package _global_\n{grid}")
    assert labels("--config-dir", str(tmp_path), "+experiment=own", "grid.dataset.seed=[3]") == [
        "rnn / arfima seed=3",
        "mrnn K=5 / arfima seed=3",
        "mrnn K=10 / arfima seed=3",
    ]


SCALED = "from dataclasses import dataclass\nfrom ltm.cells.rnn import RNN\n@dataclass(frozen=True)\nclass Scaled(RNN):\n    sigma: float = 1.0\n"


def test_a_bare_key_that_two_sections_have_is_refused_with_both_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scaled_cell.py").write_text(SCALED)
    monkeypatch.syspath_prepend(str(tmp_path))
    own = ["model=rnn", "model.cell=scaled_cell:Scaled", "+model.sigma=1.0"]
    with pytest.raises(UserError, match=r"write grid\.model\.sigma or grid\.dataset\.sigma"):
        labels(*own, "grid.sigma=[1,2]")
    with pytest.raises(UserError, match=r"write search\.space\.model\.sigma or search\.space\.dataset\.sigma"):
        Halving(config.compose([*own, "search=random", "search.space.sigma={low:1,high:2}"]))
    assert labels(*own, "grid.model.sigma=[1,2]") == ["rnn sigma=1.0 / arfima", "rnn sigma=2.0 / arfima"]
    assert labels(*own, "grid.model.sigma=[1]", "grid.dataset.sigma=[2]") == ["rnn sigma=1.0 / arfima sigma=2"]


def test_keys_of_a_searchs_space_may_be_named_with_their_section() -> None:
    search = Halving(config.compose(["search=random", "search.space={model.K: {low: 5, high: 50}}", "search.space.training.lr=[0.1,0.2]"]))
    assert [axis.key for axis in search.axes] == ["model.K", "training.lr"]
    condition = search.condition(search.candidate(0, {"model.K": 7, "training.lr": 0.2}), 3)
    assert (condition.model["K"], condition.training["lr"]) == (7, 0.2)
    assert search.name(condition) == "mrnn K=7 lr=0.2 / arfima"


@pytest.mark.parametrize(
    "given", [3.7, True, None, {}, [1, 2.5], [True], "3.7", "1-2-3", "1000001", 10**20, [2**63], "0-1000000", "²", "9" * 5000]
)
def test_seeds_that_are_none_are_refused(given: object) -> None:
    with pytest.raises(UserError, match="seeds="):
        config.parse_seeds(given)


def test_the_largest_seed_is_one_of_64_bits() -> None:
    assert config.parse_seeds([2**63 - 1]) == [2**63 - 1]
    assert len(config.parse_seeds(1_000_000)) == 1_000_000


@pytest.mark.parametrize(
    ("commas", "lists"),
    [
        (["model=rnn,lstm"], ["grid.model=[rnn,lstm]"]),
        (["model=rnn,mrnn", "model.K=25,50"], ["grid.model=[rnn,mrnn]", "grid.K=[25,50]"]),
        (["model=rnn", "training.lr=choice(0.01,0.003)"], ["model=rnn", "grid.lr=[0.01,0.003]"]),
        (["model.K=range(5,20,5)"], ["grid.K=[5,10,15]"]),
        (["model.K=5,full"], ["grid.K=[5,full]"]),
        (["grid.K=5,10"], ["grid.K=[5,10]"]),
        (["model=glob(mrnn*)"], ["grid.model=[mrnn,mrnnf]"]),
        (["dataset=arfima,random_rnn", "dataset.seed=0,1"], ["grid.dataset=[arfima,random_rnn]", "grid.seed=[0,1]"]),
        (["dataset.ar=[0.1],[0.2]"], ["grid.ar=[[0.1],[0.2]]"]),
        (["training.max_epochs=5,10"], ["grid.max_epochs=[5,10]"]),
        (["+experiment=k_sweep", "model.K=25,50", "model=rnn,mrnn"], ["+experiment=k_sweep", "grid.K=[25,50]", "grid.model=[rnn,mrnn]"]),
    ],
)
def test_commas_sweep_as_lists_of_the_grid_do(commas: list[str], lists: list[str]) -> None:
    assert plan.make(config.compose(commas)) == plan.make(config.compose(lists))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["seeds=1,2"], r"every condition has the same seeds; write seeds=\[1,2\] for these"),
        (["study=a,b"], "study has one value in a study"),
        (["compute=local,auto"], "compute has one value in a study"),
        (["compute.cpus=1,2"], "compute.cpus has one value in a study"),
        (["training=released,x"], "sweep keys of it, such as training.lr="),
        (["+experiment=k_sweep,hpo"], "an experiment is a study of its own"),
        (["search=random", "search.space.lr=0.1,0.2"], r"write search.space.lr=\[0.1,0.2\]"),
        (["training.lr=interval(0,1)"], "a range is drawn from by a search; write search=random search.space.lr="),
        (["trainig.lr=1,2"], "unknown key 'trainig'. Did you mean 'training'"),
        (["training.lrr=1,2"], "unknown grid key 'training.lrr'"),
        (["model=lstm", "model.K=1,2"], "unknown grid key 'model.K'"),
        (["grid.K=[5]", "model.K=1,2"], "grid.K and grid.model.K are one key"),
        (["+experiment=k_sweep", "model.K=7"], r"'model.K=7' has no effect, the grid varies K; write grid.K=\[7\]"),
        (["model=os:path"], "cell 'os:path' is no cell but a module; expected package.module:Class"),
        (["model=pathlib:Path"], "is no cell but the class Path"),
        (["model=nope:Cell"], "cell 'nope:Cell' cannot be imported .*No module named 'nope'"),
        (["grid.model=[lstm,nope:Cell]"], "cell 'nope:Cell' cannot be imported"),
        (["model=lstm,nope:Cell"], "cell 'nope:Cell' cannot be imported"),
        (["--config-dir", "nowhere"], "--config-dir 'nowhere' is no folder"),
        (["--config-dir"], "--config-dir '' is no folder"),
        (["grid.model=[rnn,rnn2]", "model.name=one"], "two of the models of this study are called 'one'"),
    ],
)
def test_what_cannot_sweep_or_is_no_cell_is_one_line(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        plan.make(config.compose(overrides))
    assert "\n" not in str(error.value)


OWN = """
from dataclasses import dataclass, field
from ltm.cells.rnn import RNN as Base
@dataclass(frozen=True)
class Own(Base):
    gain: float = 2.0
class RNN(Base):
    pass
@dataclass(frozen=True, kw_only=True)
class Bare(Base):
    gain: float
@dataclass(frozen=True)
class Odd(Base):
    gain: object = object
"""


def test_a_class_by_its_path_is_a_model_with_its_fields_as_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "path_cells.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    study = config.compose(["model=path_cells:Own", "model.hidden_size=4"])
    assert study.models == ({"name": "own", "cell": "path_cells:Own", "hidden_size": 4, "init": "default", "gain": 2.0, **cells.STACK},)
    assert labels("model=lstm,path_cells:Own", "model.gain=1,2") == ["lstm / arfima", "own gain=1.0 / arfima", "own gain=2.0 / arfima"]
    assert labels("grid.model=[rnn,path_cells:RNN]") == ["rnn / arfima"], "the same work under another name"
    assert config.compose(["model=path_cells:RNN"]).models[0]["name"] == "path_cells:RNN"
    with pytest.raises(UserError, match="model key 'gain' is null; expected a finite number"):
        labels("model=path_cells:Bare")
    assert labels("model=path_cells:Bare", "model.gain=1.0") == ["bare / arfima"]
    with pytest.raises(UserError, match="has the field gain = .*expected a number, text, or a list"):
        labels("model=path_cells:Odd")


def test_a_folder_of_configs_adds_models_series_and_experiments(tmp_path: Path) -> None:
    for name, text in {
        "model/small.yaml": "name: small\ncell: lstm\nhidden_size: 2\n",
        "model/wrong.yaml": "name: wrong\ncell: lstm\nhiden_size: 2\n",
        "model/broken.yaml": "name: [\n",
        "dataset/mine.yaml": "defaults: [arfima]\nname: mine\nseed: 5\n",
        "experiment/both.yaml": "# @package _global_\nstudy: both\nseeds: 3\ngrid:\n  model: [lstm, small]\n  dataset: [mine]\n",
        "experiment/typo.yaml": "# @package _global_\nsedes: 3\n",
        "experiment/vain.yaml": "# @package _global_\nmodel: {hidden_size: 8}\ngrid:\n  model: [lstm, rnn]\n",
        "experiment/vain_blocks.yaml": "# @package _global_\ndataset: {length: 400}\nblocks: {a: {dataset: [arfima]}, b: {dataset: [mine]}}\n",
        "experiment/one.yaml": "# @package _global_\ndataset: {length: 4500}\nmodel: {hidden_size: 3}\nblocks: {a: {model: [rnn]}, b: {lr: 0.1}}\n",
    }.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    for folder in (["--config-dir", str(tmp_path)], [f"--config-dir={tmp_path}"], [f"hydra.searchpath=[file://{tmp_path}]"]):
        assert labels(*folder, "+experiment=both") == ["lstm / mine", "small / mine"]
    own = ["--config-dir", str(tmp_path)]
    assert len(labels("+experiment=one", *own)) == 2  # one block names no model
    assert labels("model=small,rnn", *own) == ["small / arfima", "rnn / arfima"]
    for override, message in (
        ("model=wrong", "unknown key of model 'wrong': 'hiden_size'. Did you mean 'hidden_size'"),
        ("+experiment=typo", "unknown key 'sedes'. Did you mean 'seeds'"),
        ("+experiment=vain", "model.hidden_size=8 has no effect, the grid names the models; write grid: {model.hidden_size: 8}."),
        ("+experiment=vain_blocks", "dataset.length=400 has no effect, the grid names the datasets; write grid: {dataset.length: 400}."),
        ("model=broken", "not understood"),
        ("model=smal", "unknown model 'smal'. Did you mean 'small'"),
    ):
        with pytest.raises(UserError, match=message) as error:
            labels(override, *own)
        assert "\n" not in str(error.value)
    (tmp_path / "model" / "lstm.yaml").write_bytes((config.conf_dir() / "model" / "lstm.yaml").read_bytes())
    labels("model=small", *own)  # a copy of ours hides nothing
    (tmp_path / "model" / "lstm.yaml").write_text("name: lstm\ncell: lstm\nhidden_size: 9\n")
    with pytest.raises(
        UserError, match="model/lstm.yaml has the name of ltm's own model 'lstm', which comes first; give the file another name"
    ):
        labels("model=small", *own)
