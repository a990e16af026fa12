"""Splits, loaders and the gold of each split: one LightningDataModule for every data set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import lightning
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerFast

from gmbench.data.cache import RegionFeatures
from gmbench.data.collate import Collate
from gmbench.data.dataset import GroundedDataset, Input, Item
from gmbench.data.images import Pictures, picture_of
from gmbench.data.loader import SteadyLoader
from gmbench.data.pixels import PixelSettings
from gmbench.data.sampler import ALL, EveryNth, LengthGroupedBatches, Share
from gmbench.data.source import Split
from gmbench.data.tokens import tokenise
from gmbench.structures import Entity
from gmbench.tensors import Batch


@dataclass(frozen=True, kw_only=True)
class LoaderSettings:
    """How batches are made.

    Attributes:
        batch_size: examples a training batch.
        eval_batch_size: examples a dev or test batch.
        num_workers: processes that load; 0 is best with cached features.
        seed: of the order of training batches.
        num_regions, eval_num_regions: first candidates kept in training and in evaluation.
        iou_threshold: least IoU at which a candidate shows an entity.
    """

    batch_size: int
    eval_batch_size: int
    num_workers: int
    seed: int
    num_regions: int
    eval_num_regions: int
    iou_threshold: float = 0.5


class GroundedData(lightning.LightningDataModule):
    """Train, dev and test loaders over splits that were already read."""

    def __init__(
        self,
        *,
        splits: Mapping[str, Split],
        types: tuple[str, ...],
        tokenizer: PreTrainedTokenizerFast,
        inputs: frozenset[Input],
        pixels: PixelSettings,
        loader: LoaderSettings,
        features: Mapping[str, RegionFeatures] | None = None,
        pictures: Mapping[str, Pictures] | None = None,
    ) -> None:
        """Tokenise every split and keep the parts.

        Args:
            splits: by name (``train``, ``dev``, ``test``).
            types: names of classes 1..C.
            tokenizer: a fast tokenizer.
            inputs: what the model wants to see of an image.
            pixels: how its vision encoder wants it.
            loader: batch sizes, workers, numbers of candidates.
            features: cached region vectors by split, in place of crops.
            pictures: where those of a split come from, if not from their files as they are.
        """
        super().__init__()
        self.splits = splits
        self.types = types
        self.inputs = inputs
        self.pixels = pixels
        self.loader = loader
        self.features = features or {}
        self.pictures = pictures or {}
        self._first_epoch = 0
        self.pad_id = int(tokenizer.pad_token_id)
        self.tokens = {
            name: tokenise(tokenizer, [e.words for e in split.examples])
            for name, split in splits.items()
        }

    def gold(self, split: str) -> dict[str, tuple[Entity, ...]]:
        """Gold entities of a split by example id."""
        return {example.id: example.entities for example in self.splits[split].examples}

    def dataset(self, split: str) -> GroundedDataset:
        """Items of a split."""
        training = split == "train"
        return GroundedDataset(
            self.splits[split].examples,
            tokens=self.tokens[split],
            inputs=self.inputs,
            pixels=self.pixels,
            num_regions=self.loader.num_regions if training else self.loader.eval_num_regions,
            features=self.features.get(split),
            picture_of=self.pictures.get(split, picture_of),
        )

    def batch(self, split: str, ids: Sequence[str]) -> Batch:
        """The batch of these examples, in this order.

        Raises:
            KeyError: no such example.
        """
        places = {example.id: i for i, example in enumerate(self.splits[split].examples)}
        items = self.dataset(split)
        return self._collate()([items[places[id_]] for id_ in ids])

    def state_dict(self) -> dict[str, int]:
        """The epoch that comes next: checkpoints are written at the end of one."""
        trainer = self.trainer
        return {} if trainer is None else {"epoch": trainer.current_epoch + 1}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Begin with that epoch."""
        self._first_epoch = state_dict["epoch"]

    def train_dataloader(self) -> DataLoader[Item]:
        """Length-grouped, shuffled batches."""
        order = LengthGroupedBatches(
            [len(row.ids) for row in self.tokens["train"]],
            batch_size=self.loader.batch_size,
            seed=self.loader.seed,
            share=self._share(),
        )
        order.set_epoch(self._first_epoch)  # workers fetch before the trainer says which it is
        return SteadyLoader(
            self.dataset("train"),
            batch_sampler=order,
            num_workers=self.loader.num_workers,
            collate_fn=self._collate(),
            persistent_workers=self.loader.num_workers > 0,
        )

    def val_dataloader(self) -> DataLoader[Item]:
        """Dev, in the file's order; of several processes each takes its share."""
        return self._eval_loader("dev")

    def test_dataloader(self) -> DataLoader[Item]:
        """Test, in the file's order; of several processes each takes its share."""
        return self._eval_loader("test")

    def _eval_loader(self, split: str) -> DataLoader[Item]:
        return SteadyLoader(
            self.dataset(split),
            sampler=EveryNth(len(self.splits[split].examples), self._share()),
            batch_size=self.loader.eval_batch_size,
            num_workers=self.loader.num_workers,
            collate_fn=self._collate(),
        )

    def _share(self) -> Share:
        trainer = self.trainer
        return ALL if trainer is None else Share(trainer.global_rank, trainer.world_size)

    def _collate(self) -> Collate:
        return Collate(
            classes={name: index for index, name in enumerate(self.types, start=1)},
            pad_id=self.pad_id,
            iou_threshold=self.loader.iou_threshold,
            with_regions="regions" in self.inputs,
        )
