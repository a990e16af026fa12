import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from gmbench import prepare
from gmbench.config import check, compose, conf_dir, friendly, parse, shadowed_models
from gmbench.config.check import check_queries
from gmbench.config.messages import unknown_flags
from gmbench.core.errors import InputError
from tests.conftest import REPOSITORY

PARTS = "tests.config_parts"
TREE = {
    "config.yaml": """
        defaults: [_self_, {model: net}, {data: real}, {encoders: tiny}, {regions: files},
                   {optim: default}, {trainer: default}, {callbacks: default}, {logger: csv}]
        name: default
        mode: train
        seed: 1
        ckpt: null
        runs: ./runs
        cache: ./cache
        force: false
        """,
    "model/net.yaml": """
        name: net
        inputs: [regions]
        kind: bce
        network: {_target_: PARTS.Network, num_queries: 8}
        matcher:
          _target_: PARTS.Matcher
          repeat_ratio: 0.5
          terms: {span: {_target_: PARTS.Part, activation: sigmoid}}
        loss: {_target_: PARTS.Part, terms: {span: {_target_: PARTS.Part, kind: "${model.kind}"}}}
        decode: {_target_: PARTS.Part, span_activation: sigmoid}
        """,
    "data/real.yaml": """
        _target_: PARTS.Source
        name: real
        root: ROOT
        world: null
        limit: 5
        """,
    "encoders/tiny.yaml": """
        name: tiny
        text: {_target_: PARTS.Part}
        tokenizer: {_target_: PARTS.Part}
        vision: {_target_: PARTS.Part}
        image_size: 96
        crop_size: 48
        lr_encoder: 5.0e-4
        lr_head: 1.0e-3
        """,
    "regions/files.yaml": """
        name: files
        num: 15
        eval_num: "${.num}"
        iou_threshold: 0.5
        source: {_target_: PARTS.regions, folder: "${data.root}"}
        """,
    "regions/none.yaml": """
        name: none
        source: null
        """,
    "optim/default.yaml": """
        lr_encoder: ${encoders.lr_encoder}
        lr_head: ${encoders.lr_head}
        weight_decay: 0.01
        warmup: 0.05
        clip: 1.0
        freeze_epochs: 0
        """,
    "trainer/default.yaml": """
        epochs: 15
        batch_size: 16
        eval_batch_size: 64
        num_workers: 0
        precision: auto
        accelerator: auto
        devices: 1
        num_threads: null
        deterministic: true
        """,
    "callbacks/default.yaml": "{progress: true, patience: null}",
    "logger/csv.yaml": "name: csv",
}
Compose = Callable[..., DictConfig]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A complete small configuration tree, correct as it stands."""
    data = tmp_path / "tweets"
    data.mkdir()
    for name, text in TREE.items():
        file = tmp_path / "conf" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace("PARTS", PARTS).replace("ROOT", str(data)))
    return tmp_path / "conf"


@pytest.fixture
def make(tree: Path) -> Compose:
    return lambda *overrides: compose(overrides, main_dir=tree)


def problems(cfg: DictConfig) -> list[str]:
    with pytest.raises(InputError) as caught:
        check(cfg)
    assert str(caught.value).splitlines() == list(caught.value.problems)
    return list(caught.value.problems)


def test_a_correct_configuration_passes(make: Compose) -> None:
    check(make())
    check(
        make("seed=3", "trainer.devices=[0,1]", "+regions.source.missing=none", "optim.clip=null")
    )
    check(make("data.root=no_such_folder", "data.world={size: 3}"))  # built in


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (["trainer.epochs=abc"], "trainer.epochs: 'abc' is not an integer"),
        (["trainer.epochs=true"], "trainer.epochs: True is not an integer"),
        (["trainer.epochs=1.5"], "trainer.epochs: 1.5 is not an integer"),
        (
            ["trainer.num_threads=None"],
            "trainer.num_threads: 'None' is not an integer; did you mean null?",
        ),
        (["trainer.epochs=0"], "trainer.epochs: 0 is not at least 1"),
        (["trainer.epochs=null"], "trainer.epochs: null is not an integer"),
        (["trainer.epochs=[1]"], "trainer.epochs: a list is not an integer"),
        (["optim.warmup=1.5"], "optim.warmup: 1.5 is not at most 1"),
        (["optim.lr_head=0"], "optim.lr_head: 0 is not above 0"),
        (["optim.lr_head=nan"], "optim.lr_head: nan is not above 0"),
        (["callbacks.progress=1"], "callbacks.progress: 1 is not true or false"),
        (["name=7"], "name: 7 is not text"),
        (["mode=trian"], "mode: 'trian' is not one of train, test, check; did you mean train?"),
        (
            ["model.inputs=[region]"],
            "model.inputs[0]: 'region' is not one of regions, pixels; did you mean regions?",
        ),
        (["model.inputs=regions"], "model.inputs: 'regions' is not a list"),
        (["~trainer.epochs"], "trainer.epochs: missing"),
        (["~optim"], "optim: missing"),
        (["+trainer.epoch=3"], "trainer.epoch: unknown key; did you mean trainer.epochs?"),
        (["+sede=3"], "sede: unknown key; did you mean seed?"),
        (["+model.unread=3"], "model.unread: unknown key"),
        (["model.decode=null"], "model.decode: needs a _target_, not null"),
        (["encoders.text=abc"], "encoders.text: needs a _target_, not 'abc'"),
        (["encoders.text={_target_: null}"], "encoders.text._target_: None is not a dotted name"),
        (["seed=???"], "seed: has no value yet; set seed=..."),
        (
            ["runs=${oc.env:GMBENCH_NO_SUCH_VARIABLE}"],
            "runs: '${oc.env:GMBENCH_NO_SUCH_VARIABLE}' cannot be resolved: "
            "KeyError raised while resolving interpolation: "
            "\"Environment variable 'GMBENCH_NO_SUCH_VARIABLE' not found\"",
        ),
        (
            ["seed=${nothing.here}"],
            "seed: '${nothing.here}' cannot be resolved: "
            "Interpolation key 'nothing.here' not found",
        ),
    ],
)
def test_keys_and_types(make: Compose, overrides: list[str], problem: str) -> None:
    assert problem in problems(make(*overrides))


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (
            ["+model.network.num_querys=3"],
            f"model.network.num_querys: {PARTS}.Network takes no such argument",
        ),
        (
            ["+model.network.droput=3"],
            f"model.network.droput: {PARTS}.Network takes no such argument; "
            "did you mean model.network.dropout?",
        ),
        (["+model.network.dropout=high"], "model.network.dropout: 'high' is not a number"),
        (
            ["+model.network.span=joined"],
            "model.network.span: 'joined' is not one of joint, argmax; did you mean joint?",
        ),
        (["+model.network.sizes=[1,2,3]"], "model.network.sizes: 3 values where 2 belong"),
        (["+model.network.sizes=[1,x]"], "model.network.sizes[1]: 'x' is not an integer"),
        (["+model.network.names=[1]"], "model.network.names[0]: 1 is not text"),
        (
            ["+model.network.type_names=[a]"],
            "model.network.type_names: gmbench passes this itself; remove it",
        ),
        (["~data.limit"], f"data.limit: missing; {PARTS}.Source needs it"),
        (["~regions.source.folder"], f"regions.source.folder: missing; {PARTS}.regions needs it"),
        (
            ["+regions.source.missing=nine"],
            "regions.source.missing: 'nine' is not one of error, none",
        ),
        (
            [f"model.network._target_={PARTS}.Netwrok"],
            f"model.network._target_: {PARTS} has no Netwrok; did you mean {PARTS}.Network?",
        ),
        (
            ["model.network._target_=gmbench.scorin.counting"],
            "model.network._target_: gmbench has no scorin; did you mean gmbench.scoring?",
        ),
        (
            [f"model.network._target_={PARTS}.NOT_CALLABLE"],
            f"model.network._target_: {PARTS}.NOT_CALLABLE is a int, nothing that builds a part",
        ),
        (["model.network._target_=3"], "model.network._target_: 3 is not a dotted name"),
        (
            ["model.matcher.terms.span._target_=no_such_package.Cost"],
            "model.matcher.terms.span._target_: no module no_such_package can be imported (a class "
            "of your own must be importable: install its package or set PYTHONPATH)",
        ),
    ],
)
def test_targets_are_bound_to_their_signatures(
    make: Compose, overrides: list[str], problem: str
) -> None:
    found = problems(make(*overrides))
    assert any(line.startswith(problem) for line in found), found


def test_a_module_that_fails_while_it_is_imported(
    make: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_part_module.py").write_text("1 / 0\n")
    (tmp_path / "needy_part_module.py").write_text("import not_installed_anywhere\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = problems(
        make(
            "encoders.text._target_=broken_part_module.Text",
            "encoders.vision._target_=needy_part_module.Vision",
        )
    )
    assert found == [
        "encoders.text._target_: importing broken_part_module failed: "
        "ZeroDivisionError: division by zero",
        "encoders.vision._target_: needy_part_module.Vision needs the module "
        "not_installed_anywhere, which is missing",
    ]


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (["regions=none"], "regions: model net chooses among candidate regions"),
        (["mode=test"], "ckpt: mode=test needs the checkpoint"),
        (["ckpt=no/such.ckpt"], "ckpt: no file no/such.ckpt"),
        (["ckpt=/"], "ckpt: / is a folder; name a file"),
        (["data.root=no_such_folder"], "data.root: no folder no_such_folder"),
        (["model.matcher.repeat_ratio=1.5"], "model.matcher.repeat_ratio: 1.5 is not at most 1"),
        (["model.network.num_queries=0"], "model.network.num_queries: 0 is not at least 1"),
        (
            ["model.kind=softmax_nll", "model.decode.span_activation=softmax"],
            "model.matcher.terms.span.activation: sigmoid, but model.loss.terms.span.kind",
        ),
        (["model.decode.span_activation=softmax"], "model.decode.span_activation: softmax, but"),
        (
            ["regions.source.folder=no_such_folder", "+regions.source.missing=error"],
            "regions.source.folder: no folder no_such_folder",
        ),
        (["runs=" + str(Path(__file__))], f"runs: {__file__} is a file"),
        (
            ["mode=check", "trainer.accelerator=gpu", "trainer.devices=99"],
            "trainer.accelerator: gpu with trainer.devices=99, but there are",
        ),
    ],
)
def test_bad_combinations_and_missing_files(
    make: Compose, overrides: list[str], problem: str
) -> None:
    found = problems(make(*overrides))
    assert [line for line in found if line.startswith(problem)], found
    assert len(found) == 1, found


def test_the_nearest_checkpoint_is_named(make: Compose, tmp_path: Path) -> None:
    (tmp_path / "best.ckpt").touch()
    found = problems(make(f"ckpt={tmp_path}/bets.ckpt"))
    assert found == [f"ckpt: no file {tmp_path}/bets.ckpt; did you mean {tmp_path}/best.ckpt?"]


@pytest.mark.parametrize("first", ["", "# python -m gmbench.run +experiment=mine\n"])
def test_a_global_file_needs_its_header_in_the_first_line(
    tree: Path, make: Compose, first: str
) -> None:
    (tree / "experiment").mkdir()
    header = "# @package _global_\n"
    (tree / "experiment" / "mine.yaml").write_text(f"{first}{header}seed: 77\n")
    cfg = make("+experiment=mine")
    if first:
        assert any("very first line" in line for line in problems(cfg))
    else:
        check(cfg)
        assert cfg.seed == 77


def test_a_tag_that_yaml_reads_as_false_is_told(tree: Path, make: Compose) -> None:
    file = tree / "data" / "real.yaml"
    file.write_text(f"{dedent(file.read_text())}types: {{NO: Norway}}\n")
    assert "data.types: the key False is not text; write it in quotes" in problems(make())[0]


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["-m", "--model", "qgn", "--config-dir=x", "a=--b"], "model=qgn"),
        (["--epochs", "3"], "trainer.epochs=3"),
        (["--epoch", "3", "seed=1"], "trainer.epochs=3"),
        (["--batch-size", "8"], "trainer.batch_size=8"),
        (["--optim.clip", "1"], "optim.clip=1"),
        (["--confg-dir", "--help"], "--config-dir"),
    ],
)
def test_settings_are_written_without_dashes(arguments: list[str], meant: str) -> None:
    (line,) = unknown_flags(arguments)
    assert line.endswith(f": no such option; did you mean {meant}?")


def test_everything_is_reported_at_once(make: Compose) -> None:
    found = problems(
        make("trainer.epochs=x", "+seeed=1", "mode=test", "regions=none", "~data.limit", "seed=???")
    )
    assert len(found) == 5  # but for data.limit: torch is imported to look at parts
    assert len(set(found)) == 5


@pytest.mark.parametrize(
    "override",
    [
        "+logger.api_key=abcdef123",
        "+logger.wandb_token=abcdef123",
        "+trainer.password=abcdef123",
        "+callbacks.client_secret=abcdef123",
        "+trainer.harmless=${oc.env:GMBENCH_TEST_API_KEY}",
    ],
)
def test_secrets_are_refused_and_never_printed(
    make: Compose, override: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GMBENCH_TEST_API_KEY", "abcdef123")
    found = problems(make(override))
    assert any("a secret does not belong in the configuration" in line for line in found)
    assert "abcdef123" not in "\n".join(found)


@pytest.mark.parametrize("key", ["max_tokens", "cls_token", "key_dim", "tokenizer_name", "monkey"])
def test_harmless_names_are_no_secrets(make: Compose, key: str) -> None:
    check(make(f"+model.decode.{key}=abc"))


def test_types_given_on_the_command_line_replace_those_of_the_file() -> None:
    one = compose(["data=synthetic_tiny", "data.types={B: Bee, A: Ay}"])
    assert list(one.data.types.items()) == [("B", "Bee"), ("A", "Ay")]
    with pytest.raises(InputError, match=r"data\.types"):
        check(compose(["data=synthetic_tiny", "data.types={}"]))


def test_fewer_queries_than_entities(make: Compose) -> None:
    check_queries(parse(make()), max_entities=8)
    with pytest.raises(InputError, match="8 queries cannot answer for the 9 entities"):
        check_queries(parse(make()), max_entities=9)


def message_of(tree: Path, *argv: str) -> list[str]:
    overrides = [word for word in argv if not word.startswith("-")]
    with pytest.raises(Exception, match=r".") as caught:
        check(compose(overrides, main_dir=tree))
    text = friendly(caught.value, argv, main_dir=tree)
    assert text is not None
    return text.splitlines()


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("trainer.epoch=3", "trainer.epoch: unknown key; did you mean trainer.epochs?"),
        ("trainr.epochs=3", "trainr: unknown key; did you mean trainer?"),
        ("epochs=3", "epochs: unknown key; did you mean trainer.epochs?"),
        ("trainer.seed=3", "trainer.seed: unknown key; did you mean seed?"),
        ("modle=net", "modle: unknown key; did you mean model?"),
        ("model=nett", "model=nett: no such choice; did you mean model=net? (choices: net)"),
        (
            "seed=1,2",
            "seed=1,2: several values need -m (a grid), or [...] where a list is meant",
        ),
        (
            "trainer=3",
            "Config group override must be a string or a list. Got int; "
            "name a file of that folder, as in model=mqspn",
        ),
        ("seed=[1", "seed=[1: cannot be read; write key=value, or key=\"'text'\" for any text"),
    ],
)
def test_hydras_errors_in_one_line(tree: Path, override: str, line: str) -> None:
    assert message_of(tree, override) == [line]


def test_hydras_errors_and_ours_all_at_once(tree: Path) -> None:
    assert message_of(
        tree, "trainer.epoch=3", "model=nett", "seed=x", "modle.a=1", "~optim.clip", "~no.such"
    ) == [
        "model=nett: no such choice; did you mean model=net? (choices: net)",
        "trainer.epoch: unknown key; did you mean trainer.epochs?",
        "modle: unknown key; did you mean model?",
        "Could not delete from config. 'no.such' does not exist.",
        "seed: 'x' is not an integer",
        "optim.clip: missing",
    ]


def test_a_sweep_is_not_a_second_problem(tree: Path) -> None:
    argv = ["trainer.epoch=3", "seed=1,2,3"]
    with pytest.raises(Exception, match=r"trainer\.epoch") as caught:
        compose(argv[:1], main_dir=tree)
    message = "trainer.epoch: unknown key; did you mean trainer.epochs?"
    assert friendly(caught.value, ["-m", *argv], main_dir=tree) == message
    assert friendly(caught.value, [*argv], main_dir=tree) != message


def test_a_yaml_that_cannot_be_read_is_named(tree: Path) -> None:
    (tree / "optim" / "default.yaml").write_text("a: [1\nb: 2\n")
    lines = message_of(tree)
    assert len(lines) == 1
    assert "optim/default.yaml" in lines[0]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "data: needs a _target_, not a mapping"),
        (
            "_target_: gmbench.data.source.DataSource\nroot: .\ntext_dir: txt\nxml_dir: xml\n"
            "image_dir: images\ntag_column: 1\ntypes: {PER: person}\n",
            "data.name: missing; gmbench.data.source.DataSource needs it",
        ),
    ],
    ids=["empty", "without a name"],
)
def test_an_own_data_set_without_what_the_run_folder_is_named_after(
    tmp_path: Path, text: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "own.yaml").write_text(text)
    argv = ["--config-dir", str(tmp_path), "data=own", "regions=grid"]
    with pytest.raises(OmegaConfBaseException) as hydras:  # before the run begins
        _ = OmegaConf.create({"hydra": {"run": {"dir": "runs/${data.name}"}}}).hydra.run.dir
    assert friendly(hydras.value, argv) == line
    assert prepare.main(argv) == 2
    assert capsys.readouterr().err == f"{line}\n"
    assert friendly(RuntimeError("a bug")) is None  # keeps its traceback


def test_a_further_folder(tree: Path, tmp_path: Path) -> None:
    mine = tmp_path / "it's mine"
    (mine / "trainer").mkdir(parents=True)
    (mine / "trainer" / "long.yaml").write_text("defaults: [default]\nepochs: 99\n")
    assert compose(["trainer=long"], mine, main_dir=tree).trainer.epochs == 99
    with pytest.raises(InputError, match="no folder"):
        compose([], tmp_path / "absent", main_dir=tree)


def test_compose_inside_a_running_hydra(tree: Path, make: Compose) -> None:
    with hydra.initialize_config_dir(str(tree), version_base="1.3"):
        outer = GlobalHydra.instance().hydra
        assert "hydra" not in make("seed=5")
        assert GlobalHydra.instance().hydra is outer
        assert hydra.compose("config", overrides=["seed=6"]).seed == 6


def test_compose_leaves_no_state_behind_after_an_error(make: Compose) -> None:
    with pytest.raises(Exception, match="nett"):
        make("model=nett")
    assert not GlobalHydra.instance().is_initialized()
    assert make().seed == 1
    assert conf_dir() == REPOSITORY / "conf"


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_strangers_models_folder_is_reported(tmp_path: Path) -> None:
    assert shadowed_models() is None
    code = (
        "import sys; sys.path.insert(0, ''); import gmbench.config as config; "
        "print(config.shadowed_models())"
    )
    (tmp_path / "models").mkdir()
    assert run(code, tmp_path).stdout == "None\n"  # a folder that is no package hides nothing
    (tmp_path / "models" / "__init__.py").touch()
    message = run(code, tmp_path).stdout
    assert message.startswith(str(tmp_path / "models"))
    assert message.count("\n") == 1
    assert "run from another folder" in message


def test_importing_the_configuration_does_not_import_torch(tmp_path: Path) -> None:
    done = run("import gmbench.config, sys; print('torch' in sys.modules)", tmp_path)
    assert done.stdout == "False\n", done.stderr


def test_a_command_without_arguments_has_no_unknown_option():
    assert list(unknown_flags([])) == []
