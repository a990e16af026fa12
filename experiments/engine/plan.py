"""Experiments as data: rows, settings and measures, and the runs they need."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from experiments.engine.measures import GMNER_F1, Finished, Measure
from experiments.papers.papers import papers
from gmbench.config import compose
from gmbench.config.identity import plain_config, run_sha

if TYPE_CHECKING:
    from experiments.engine.collect import Block

SEEDS = (1, 2, 3)


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One row of a table or one point of a curve.

    Attributes:
        key: of its row in ``papers.yaml``, or a word of its own.
        label: as shown.
        overrides: beside those of the experiment, on any data.
        paper_only: overrides that only the paper's data and encoders can take.
        world_only: overrides that only the built-in world can take.
        photos_only: overrides on photographs alone.
        x: its place on the axis of a curve.
        series: the line it is a point of, where a curve has several; without ``x`` the line runs
            across, for a model that the axis does not touch.
        extra: the paper has no such row.
        weights_of: key of a row that trains the same: its best weights are tested under these
            overrides and nothing is trained; a run that trained by them itself does as well.
        tested_only: it does not: under these overrides training would give another model, so only
            a test of those weights in the planned folder stands in this row.
        against: key of the row it is compared with, in place of the experiment's reference; its
            own key = with none.
        only: ``real``, ``world`` or ``photos``: it makes sense on such data alone; ``print``: it is
            a row of the paper that is not ours to run.
    """

    key: str
    label: str
    overrides: tuple[str, ...] = ()
    paper_only: tuple[str, ...] = ()
    world_only: tuple[str, ...] = ()
    photos_only: tuple[str, ...] = ()
    x: float | None = None
    series: str | None = None
    extra: bool = False
    weights_of: str | None = None
    tested_only: bool = False
    against: str | None = None
    only: Literal["real", "world", "photos", "print"] | None = None

    def fits(self, setting: "Setting") -> bool:
        """Whether the row can be run there."""
        return self.only is None or self.only == setting.kind

    def overrides_on(self, setting: "Setting") -> tuple[str, ...]:
        """Its overrides there, without those of the paper's encoders."""
        own = {"world": self.world_only, "photos": self.photos_only}
        return (*self.overrides, *own.get(setting.kind, ()))


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One data set: a block of the table.

    Attributes:
        key: of its column in ``papers.yaml``; also the folder of its runs.
        label: as shown.
        overrides: that choose it.
        real: the paper's own data; only then may its numbers be subtracted from ours.
    """

    key: str
    label: str
    overrides: tuple[str, ...]
    real: bool = True

    @property
    def kind(self) -> Literal["real", "world", "photos"]:
        """What ``Variant.only`` asks for."""
        if self.real:
            return "real"
        return "photos" if self.key == "photos" else "world"


GMNER_DATA = Setting(
    key="twitter_gmner", label="Twitter-GMNER", overrides=("data=twitter_gmner", "encoders=paper")
)
FMNERG_DATA = Setting(
    key="twitter_fmnerg",
    label="Twitter-FMNERG",
    overrides=("data=twitter_fmnerg", "encoders=paper"),
)
WORLD = Setting(key="world", label="built-in world", overrides=("data=synthetic",), real=False)
PHOTOS = Setting(
    key="photos",
    label="photographs, invented posts",
    overrides=("data=photos", "encoders=small", "regions=ssd", "regions.num=10"),
    real=False,
)
"""Any folder of COCO's format, given by ``data.coco=FOLDER``."""
SMOKE = Setting(
    key="smoke",
    label="built-in world, tiny and hardly trained (smoke test)",
    overrides=("data=synthetic_tiny", "trainer=debug", "trainer.epochs=1"),
    real=False,
)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A table or figure: rows by settings, each in several seeds.

    Attributes:
        name: of its module and of the files it builds; a key of ``papers.yaml`` where ``paper``.
        title: what it shows.
        base: overrides of every run.
        rows: its variants, in the paper's order.
        reference: key of the row that the others are compared with; None = no comparison.
        settings: the data sets of ``--preset paper``.
        real: overrides of every run on the paper's data, say ``+experiment=...``.
        world: overrides of every run on the built-in world (``--preset world`` and ``smoke``).
        photos: overrides of every run on photographs (``--preset photos``).
        measures: what is shown of each run; the first is compared and drawn.
        paper: whether ``papers.yaml`` has a table of this name.
        curve: name of the axis where the picture is a curve over ``Variant.x``.
        along: where a row of a series without ``x`` stands on that axis, from a run of it; None
            draws its line across.
        seeds: of every preset; ``smoke`` takes the first.
        note: what a reader must know, in Markdown.
        picture: draws the PNG in place of bars or curves, given the cells of the first setting; it
            may answer None where it has nothing to draw.
        data_varies: rows are of different data on purpose; only rows of the same tweets and gold
            are compared.
    """

    name: str
    title: str
    base: tuple[str, ...]
    rows: tuple[Variant, ...]
    reference: str | None
    settings: tuple[Setting, ...] = (GMNER_DATA,)
    real: tuple[str, ...] = ()
    world: tuple[str, ...] = ()
    photos: tuple[str, ...] = ("trainer.epochs=12",)
    measures: tuple[Measure, ...] = (GMNER_F1,)
    paper: bool = True
    curve: str | None = None
    along: Callable[[Finished], float | None] | None = None
    seeds: tuple[int, ...] = SEEDS
    note: str = ""
    data_varies: bool = False
    picture: Callable[["Block"], bytes | None] | None = None

    @property
    def module(self) -> str:
        """The module that ``python -m`` runs: papers or studies, whichever holds it."""
        rooms = Path(__file__).parent.parent
        room = next((p.parent.name for p in rooms.glob(f"*/{self.name}.py")), None)
        return ".".join(filter(None, ("experiments", room, self.name)))

    def __post_init__(self) -> None:
        keys = [row.key for row in self.rows]
        if len(set(keys)) != len(keys):
            raise ValueError(f"{self.name}: a row stands twice among {keys}")
        if self.reference is not None and self.reference not in keys:
            raise ValueError(f"{self.name}: no row {self.reference!r} to compare with")
        for row in self.rows:
            if row.weights_of is not None and row.weights_of not in keys:
                raise ValueError(f"{self.name}: no row {row.weights_of!r} to take weights of")


def rows_of(
    table: str,
    overrides: Mapping[str, str],
    extra: Mapping[str, tuple[str, str]] | None = None,
    weights_of: Mapping[str, str] | None = None,
) -> tuple[Variant, ...]:
    """Variants for exactly the rows of a paper's table, in its order, then rows of ours.

    Args:
        table: key of the table in ``papers.yaml``.
        overrides: by key of the row, separated by spaces.
        extra: label and overrides of the rows that the paper does not have, by key.
        weights_of: for rows of ``extra`` that train nothing, the key of the row whose weights they
            test.

    Raises:
        ValueError: a row of the paper is missing or there is one that it does not have.
    """
    rows = papers().table(table).rows
    if set(rows) != set(overrides):
        differ = sorted(set(rows) ^ set(overrides))
        raise ValueError(f"{table}: rows differ from the paper's in {', '.join(differ)}")
    ours = [
        Variant(key=key, label=row.title, overrides=tuple(overrides[key].split()))
        for key, row in rows.items()
    ]
    more = [
        Variant(
            key=key,
            label=label,
            overrides=tuple(given.split()),
            extra=True,
            weights_of=(weights_of or {}).get(key),
        )
        for key, (label, given) in (extra or {}).items()
    ]
    return (*ours, *more)


def curve(key: str, values: tuple[float, ...]) -> tuple[Variant, ...]:
    """One variant per value of a configuration key."""
    return tuple(
        Variant(key=f"{value:g}", label=f"{value:g}", overrides=(f"{key}={value:g}",), x=value)
        for value in values
    )


Preset = Literal["paper", "world", "photos", "smoke"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Planned:
    """One run that the experiment wants.

    Attributes:
        overrides: of ``gmbench.run``, the seed apart.
        folder: its own; the same run in another folder does as well.
        sha: of its configuration.
    """

    setting: Setting
    row: Variant
    seed: int
    overrides: tuple[str, ...]
    folder: Path
    sha: str
    config: dict[str, Any] = field(repr=False)

    @property
    def label(self) -> str:
        """For a line of progress."""
        return f"{self.setting.key}  {self.row.label}  seed={self.seed}"


def settings_of(experiment: Experiment, preset: Preset) -> tuple[Setting, ...]:
    """The data sets of a preset."""
    return {
        "paper": experiment.settings,
        "world": (WORLD,),
        "photos": (PHOTOS,),
        "smoke": (SMOKE,),
    }[preset]


def plan(
    experiment: Experiment,
    *,
    preset: Preset,
    extra: Sequence[str] = (),
    seeds: Sequence[int] | None = None,
    runs: Path = Path("runs"),
) -> tuple[Planned, ...]:
    """Every run of an experiment, by setting, row and seed.

    Args:
        experiment: the table or figure.
        preset: the paper's data, the built-in world, photographs, or the smallest that runs.
        extra: further overrides of every run, which win.
        seeds: in place of the experiment's.
        runs: folder of all run folders.

    Raises:
        hydra.errors.HydraException: the overrides do not compose.
    """
    seeds = tuple(seeds or (experiment.seeds if preset != "smoke" else experiment.seeds[:1]))
    planned = []
    for setting in settings_of(experiment, preset):
        for row in filter(lambda row: row.fits(setting), experiment.rows):
            overrides = (
                *experiment.base,
                *setting.overrides,
                *getattr(experiment, setting.kind),
                *row.overrides_on(setting),
                *(row.paper_only if setting.real else ()),
                *extra,
            )
            cfg = compose(overrides)
            for seed in seeds:
                cfg.seed = seed
                plain = plain_config(cfg)
                planned.append(
                    Planned(
                        setting=setting,
                        row=row,
                        seed=seed,
                        overrides=overrides,
                        folder=runs
                        / experiment.name
                        / setting.key
                        / _slug(row.key)
                        / f"seed={seed}",
                        sha=run_sha(plain),
                        config=plain,
                    )
                )
    return tuple(planned)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-")
