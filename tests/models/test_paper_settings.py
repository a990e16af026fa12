"""Every number and choice that a paper prints stands in its experiment."""

import pytest
from omegaconf import OmegaConf

from gmbench.config import compose

BOTH = {
    "trainer.batch_size": 16,
    "trainer.epochs": 50,
    "optim.lr_encoder": 2e-5,
    "optim.lr_head": 2e-5,
    "optim.weight_decay": 0.0,  # Adam
    "optim.warmup": 0.05,
    "encoders.vision_name": "openai/clip-vit-base-patch32",
    "model.network.num_queries": 60,
    "model.activation": "sigmoid",
    "model.loss_kind": "bce",
    "model.matcher.solver": "hungarian",
}
PRINTED = {
    "mqspn_paper": {
        "optim.freeze_epochs": 5,
        "model.network.train_vision": False,
        "model.network.ungrounded": "blank_image",
        "model.network.mqs.init_std": 0.02,
        "model.network.mqs.type_queries": True,
        "model.network.mqs.entity_queries": "learned",
        "model.network.qfnet.layers": 3,
        "model.network.qfnet.qct": True,
        "model.network.qfnet.prefix_source": "query",
        "model.network.qfnet.aggregator": "similarity",
        "model.network.sag.scale": "none",
        "model.network.msp.entity_classifier": "existence",
    },
    "qgn_paper": {
        "model.network.box": "mlp",  # "predicts normalized box coordinates"
        "model.network.mqa.query_init": "param",
        "model.network.mqa.jca_residual": False,  # eq. 2
        "model.network.hvla.text_start": 1,  # {1, 4, 7, 10}
        "model.network.hvla.text_stride": 3,
        "model.network.hvla.vision_start": 2,  # {2, 5, 8, 11}
        "model.network.hvla.vision_stride": 3,
        "model.network.hvla.levels": 4,
        "model.network.hvla.gate": "none",  # eq. 3: "added back through a residual connection"
        "model.matcher.repeat_ratio": 0.0,  # "each predicted query to one ground-truth entity"
        "model.matcher.terms.box.overlap": "iou",
        "model.matcher.terms.box.ungroundable": "constant",
        "model.loss.terms.point.weight": 0.0,  # ours
        "model.loss.terms.consistency.group_by": "span_region",
        "model.loss.terms.consistency.members": "matched",
        "model.loss.terms.consistency.min_group": 1,
        "model.decode.span": "argmax",
    },
}


@pytest.mark.parametrize("experiment", PRINTED)
def test_what_the_paper_prints(experiment):
    settings = compose([f"+experiment={experiment}"])
    wanted = {**BOTH, **PRINTED[experiment]}
    assert {key: OmegaConf.select(settings, key) for key in wanted} == wanted
