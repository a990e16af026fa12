"""Vision encoders by entity type: where does a stronger one help?"""

import sys
from dataclasses import replace

from experiments.engine import GMNER_F1, Experiment, Variant, main
from experiments.engine.plan import FMNERG_DATA, GMNER_DATA
from experiments.engine.type_columns import WORLD_TYPES, type_f1
from experiments.papers.papers import papers

FINE_TYPES = [row for row in papers().table("mqspn_table2").rows if row != "All"]
"""The eight of Twitter-FMNERG, as the papers write them."""


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
    measures=(
        GMNER_F1,
        *(replace(type_f1(name, f"{name} F1"), row=None) for name in WORLD_TYPES),
        *(replace(type_f1(name.lower(), f"{name} F1"), row=None) for name in FINE_TYPES),
    ),
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
