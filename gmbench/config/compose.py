"""Where conf/ is, how it is composed and read back, and whether another package hides ours."""

import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from gmbench.config.overrides import folder_name, quote, quoted, replacing
from gmbench.config.renames import current
from gmbench.config.schema import Counts, Settings, keys_without, problems
from gmbench.config.trust import refuse_foreign
from gmbench.core.errors import InputError
from gmbench.core.files import read_file

_PACKAGE = Path(__file__).resolve().parent.parent
_LOCK = threading.Lock()

# conf/config.yaml leaves these overrides out of the name of a run folder.
OmegaConf.register_new_resolver(
    "gmbench.not_in_folder_name", lambda: list(keys_without(Counts.FOLDER)), replace=True
)
OmegaConf.register_new_resolver("gmbench.folder_name", folder_name, replace=True)


def conf_dir() -> Path:
    """The Hydra tree, absolute: ``gmbench/conf`` in a wheel, ``../conf`` in a checkout.

    Raises:
        InputError: neither is there.
    """
    for folder in (_PACKAGE / "conf", _PACKAGE.parent / "conf"):
        if (folder / "config.yaml").is_file():
            return folder
    raise InputError([f"no conf/config.yaml beside {_PACKAGE}: the installation is incomplete"])


def compose(
    overrides: Sequence[str] = (),
    config_dir: str | Path | None = None,
    *,
    main_dir: str | Path | None = None,
) -> DictConfig:
    """The configuration that ``python -m gmbench.run OVERRIDES`` would get, without Hydra's node.

    May be called inside a running Hydra job, whose state it leaves as it was.

    Args:
        overrides: as on the command line.
        config_dir: a further folder of yaml files, as ``--config-dir``.
        main_dir: in place of ``conf_dir()``.

    Raises:
        hydra.errors.HydraException: as Hydra puts it; ``friendly`` says it in a line.
    """
    further = [] if config_dir is None else [_search_path(config_dir)]
    with _own_hydra(Path(main_dir) if main_dir else conf_dir()):
        return hydra.compose("config", overrides=[*replacing(map(quoted, overrides)), *further])


def shadowed_models() -> str | None:
    """One line where another ``models`` hides ours (``python -m`` searches the current folder)."""
    ours = _PACKAGE.parent / "models"
    try:
        spec = find_spec("models")
    except ValueError:  # already imported by something that gave it no spec
        return None
    if spec is None:
        return f"gmbench's package models is missing: it belongs in {ours}"
    place = Path(spec.origin).resolve() if spec.origin else None
    if place is None or place.parent != ours:
        where = place or ", ".join(spec.submodule_search_locations or ())
        return f"{where} hides gmbench's package models: run from another folder, or rename it"
    return None


@contextmanager
def _own_hydra(folder: Path) -> Iterator[None]:
    """Hydra with ``folder`` as its tree, the surrounding Hydra put back afterwards."""
    with _LOCK:
        state = GlobalHydra.instance()
        outer, state.hydra = state.hydra, None
        try:
            with hydra.initialize_config_dir(str(folder.resolve()), version_base="1.3"):
                yield
        finally:
            GlobalHydra.instance().hydra = outer


def _search_path(folder: str | Path) -> str:
    if not Path(folder).is_dir():
        raise InputError([f"--config-dir: no folder {folder}"])
    return f"hydra.searchpath=[{quote(f'file://{Path(folder).resolve()}')}]"


DATA = ("data", "regions.source")
"""Nodes of a configuration from which its data set and candidate regions are built."""
STORED_BYTES, STORED_DEPTH = 2**20, 50
"""What a stored configuration may hold; ours have 5 kB and nine levels."""


def stored_settings(
    path: Path, trust: Collection[str] = (), built: Sequence[str] = DATA
) -> Settings:
    """The settings in the ``config.yaml`` of a run folder, under today's names.

    Args:
        path: the file.
        trust: prefixes of further packages whose classes may be built.
        built: dotted keys of the nodes that the caller builds.

    Raises:
        InputError: no such file, or not the configuration of a run.
        UntrustedTarget: what will be built is not gmbench's, models' or trusted.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; it says which data set was used")
    tree = read_stored(path)
    refuse_foreign(tree, trust, str(path), built)
    return settings_of(tree, path)


def read_stored(path: Path) -> dict[str, Any]:
    """A ``config.yaml`` as plain data under today's names: nothing in it is resolved or built.

    Raises:
        InputError: not YAML, no mapping, or nested or repeated beyond what a run stores.
        OSError: the file cannot be read.
    """
    data, depth = read_file(path, STORED_BYTES), 0
    try:
        for event in yaml.parse(data, Loader=yaml.CSafeLoader):  # flat: before anything is nested
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or depth > STORED_DEPTH:
                raise ValueError("an alias" if depth <= STORED_DEPTH else "nested too deeply")
        tree = current(yaml.load(data, Loader=yaml.CSafeLoader))
    except (yaml.YAMLError, ValueError) as fault:
        what = " ".join(str(fault).split())
        raise InputError(f"{path}: not a configuration ({what})") from None
    if not isinstance(tree, dict):
        raise InputError(f"{path}: not a configuration (no mapping)")
    return tree


def settings_of(tree: Any, path: Path) -> Settings:
    """The settings of a resolved configuration in plain containers, read from ``path``.

    Raises:
        InputError: it is not the configuration of a run.
    """
    if found := "; ".join(" ".join(line.split()) for line in problems(tree, Settings)):
        raise InputError(f"{path}: not the configuration of a run ({found})")
    return Settings.of(tree)
