"""The least that trains and logs: a point that moves to the mean of its data."""

import lightning
import torch


class Line(lightning.LightningModule):
    """One weight; its loss is logged as ``train/loss``."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def training_step(self, batch, index):
        loss = ((batch[0] - self.weight) ** 2).mean()
        self.log("train/loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)
