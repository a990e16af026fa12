"""Vision encoders by entity type: where does a stronger one help?"""

import sys

from experiments.engine import GMNER_F1, Experiment, Finished, Measure, Variant, main
from experiments.engine.plan import FMNERG_DATA, GMNER_DATA


def of_type(name: str) -> Measure:
    """GMNER F1 of one entity type."""

    def of(run: Finished) -> float | None:
        figures = run.result.metrics.per_type.get(name)
        return 100 * figures.gmner.f1 if figures is not None and figures.gmner else None

    return Measure(title=f"{name} F1", of=of)


def clip(key: str, label: str, name: str) -> Variant:
    """A CLIP tower, on the paper's data."""
    return Variant(
        key=key, label=label, paper_only=(f"encoders.vision_name=openai/{name}",), only="real"
    )


EXPERIMENT = Experiment(
    name="backbones",
    title="Vision encoders by entity type",
    base=("model=mqspn",),
    real=("+experiment=mqspn_paper",),
    settings=(GMNER_DATA, FMNERG_DATA),
    reference="b32",
    measures=(GMNER_F1, *(of_type(name) for name in ("PER", "LOC", "ORG", "OTHER"))),
    rows=(
        clip("b32", "CLIP ViT-B/32", "clip-vit-base-patch32"),
        clip("b16", "CLIP ViT-B/16", "clip-vit-base-patch16"),
        clip("l14", "CLIP ViT-L/14", "clip-vit-large-patch14"),
        Variant(key="tiny", label="tiny, pretrained", only="world"),
        Variant(
            key="scratch",
            label="tiny, both encoders from scratch",
            world_only=("encoders.pretrained=false",),
            only="world",
            against="tiny",
        ),
    ),
    paper=False,
)

if __name__ == "__main__":
    sys.exit(main(EXPERIMENT))
