"""Every yaml of conf/ opens with its command, composes, passes the checks and can be built."""

from pathlib import Path

import pytest
from hydra.utils import get_class

from gmbench.config import check, check_data, compose, conf_dir, parse
from gmbench.config.instantiate import construct
from gmbench.core.errors import InputError

# A sweeper needs its extra and -m: tests/grid/test_launchers.py runs it.
FILES = sorted(path for path in conf_dir().rglob("*.yaml") if path.parent.name != "sweeper")
GROUPS = {
    *("model", "data", "encoders", "regions", "optim"),
    *("trainer", "callbacks", "logger", "debug"),
}


def override_of(path: Path) -> list[str]:
    group, name = path.relative_to(conf_dir()).parent.as_posix(), path.stem
    if group == ".":
        return []
    return [f"+{group}={name}" if group in ("debug", "experiment") else f"{group}={name}"]


def test_the_tree_is_found():
    groups = {path.parent.name for path in FILES}
    assert len(FILES) >= 15
    assert groups >= GROUPS


def command_of(path: Path) -> str:
    """The line with the command: the first, but for Hydra's own header, which must be it."""
    lines = path.read_text().splitlines()
    return lines[1] if lines[0].startswith("# @package") else lines[0]


def overrides_in(command: str) -> list[str]:
    """What a command chooses, without what lies on its user's machine."""
    words = command.split("python -m gmbench.run", 1)[1].split()
    return [w for w in words if not w.startswith(("data.root=", "data.coco=", "logger.mode="))]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(conf_dir()).as_posix())
def test_opens_with_the_command_that_runs_it(path):
    first = command_of(path)
    assert first.startswith("# python -m gmbench.")
    assert all(o in first for o in override_of(path)), f"{first!r} does not name it"


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(conf_dir()).as_posix())
def test_its_command_composes_settings_build_and_pass_the_checks(path, request, tmp_path):
    overrides, further = overrides_in(command_of(path)), []
    cfg = compose(overrides)
    for node in (cfg.model.matcher, cfg.model.decode, cfg.data):
        assert get_class(node._target_)
    construct(cfg.model.matcher)
    construct(cfg.model.loss.terms)
    assert construct(cfg.model.decode, types=("A",)).types == ("A",)
    assert construct(cfg.data).types
    if str(cfg.data.name).startswith("twitter"):  # what passes where no pictures are
        root = request.getfixturevalue("shared") / "data" / "twitter_gmner"
        further = [f"data.root={root}", "data.missing_image=blank"]
    if path.stem == "photos":
        further = [f"data.coco={tmp_path}"]
    if path.stem == "tensorboard":
        pytest.importorskip("tensorboard", reason="needs the extra tensorboard")
    check(compose([*overrides, *further]) if further else cfg)


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (["data.missing_image=none"], "data.missing_image: 'none' is not one of error, blank"),
        (["data.bad_input=skip"], "data.bad_input: 'skip' is not one of error, mask"),
        (["data.limit=0"], "data.limit: 0 is not at least 1"),
        (["data.tag_column=0"], "data.tag_column: 0 is not at least 1"),
        (["data.types=null"], "data.types: null is not a mapping"),
        (["~data.name"], "data.name: missing; gmbench.data.source.DataSource needs it"),
        (["+foreign=patches", "data.foreign.share=1.5"], "data.foreign.share: 1.5 is not at most"),
        (["regions.source.k=0"], "regions.source.k: 0 is not at least 1"),
        (["regions=jsonl", "regions.source.k=0"], "regions.source.k: 0 is not at least 1"),
        (["regions.source.missing=maybe"], "regions.source.missing: 'maybe' is not one of error"),
        (["regions=noisy", "regions.source.share=-1"], "regions.source.share: -1 is not at least"),
        (["regions=grid", "regions.source.levels=[]"], "regions.source.levels: is empty"),
        (["regions=grid", "regions.source.levels=[[1.5,0]]"], "levels[0][0]: 1.5 is not at most"),
        (["regions=selective_search", "regions.source.max_side=31"], "31 is not at least 32"),
    ],
)
def test_arguments_of_data_and_regions_have_limits(overrides: list[str], problem: str) -> None:
    with pytest.raises(InputError) as caught:
        check_data(parse(compose(overrides)))
    assert problem in caught.value.problems[0]
