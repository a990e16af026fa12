"""Which examples go into which batch, and the loaders: one LightningDataModule for all data."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lightning
import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler
from transformers import PreTrainedTokenizerFast

from gmbench.core.entities import Entity
from gmbench.core.tensors import Batch
from gmbench.data.dataset import Collate, GroundedDataset, Input, Item, tokenise
from gmbench.data.examples import Split
from gmbench.data.features import RegionFeatures
from gmbench.data.images import Pictures, picture_of
from gmbench.data.pixels import PixelSettings


@dataclass(frozen=True)
class Share:
    """One of several processes that share every batch."""

    rank: int = 0
    processes: int = 1


ALL = Share()
"""The only process."""


class LengthGroupedBatches(Sampler[list[int]]):
    """Batches of examples of similar length: shuffled, then sorted within pools of many batches.

    The order depends on ``(seed, epoch)`` only, never on iterator state, workers or earlier
    epochs; every example appears exactly once per epoch. The trainer calls ``set_epoch``.

    Of several processes each takes every n-th example of every batch, so that a batch holds the
    same examples however many there are. One exception: a batch with fewer examples than processes
    gets some from the batch before it, so that no process is idle.

    Args:
        lengths: number of sub-words of each example.
        batch_size: examples per batch, over all processes; one batch per epoch may be smaller.
        seed: of the shuffle.
        pool_batches: batches per pool; more means less padding and less randomness.
        share: which process this is.

    Raises:
        ValueError: fewer examples, or examples per batch, than processes.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        *,
        batch_size: int,
        seed: int,
        pool_batches: int = 50,
        share: Share = ALL,
    ) -> None:
        if share.processes > max(1, min(batch_size, len(lengths))):
            raise ValueError(
                f"{share.processes} processes cannot share batches of {batch_size} of "
                f"{len(lengths)} examples; use fewer processes or larger batches"
            )
        self.share = share
        self.lengths = np.asarray(lengths)
        self.batch_size = batch_size
        self.seed = seed
        self.pool = pool_batches * batch_size
        self.epoch = 0

    @property
    def sampler(self) -> "LengthGroupedBatches":
        """This object: Lightning looks for ``set_epoch`` on the sampler of a batch sampler."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next iteration follows."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        order = rng.permutation(len(self.lengths))
        batches: list[list[int]] = []
        for first in range(0, len(order), self.pool):
            pool = order[first : first + self.pool]
            pool = pool[np.argsort(self.lengths[pool], kind="stable")]
            starts = range(0, len(pool), self.batch_size)
            batches.extend(pool[i : i + self.batch_size].tolist() for i in starts)
        lacking = self.share.processes - len(batches[-1]) if batches else 0
        if lacking > 0:
            batches[-1] = batches[-2][-lacking:] + batches[-1]
            batches[-2] = batches[-2][:-lacking]
        for index in rng.permutation(len(batches)):
            yield batches[index][self.share.rank :: self.share.processes]


class EveryNth(Sampler[int]):
    """The examples that one of several processes evaluates: every n-th, none repeated.

    A process without any takes the first, so that all have a batch and none waits forever; scores
    and predictions count an example once, whichever process answered it.

    Args:
        count: number of examples.
        share: which process this is.
    """

    def __init__(self, count: int, share: Share = ALL) -> None:
        self.places = range(share.rank, count, share.processes) or range(min(1, count))

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[int]:
        return iter(self.places)


class SteadyLoader(DataLoader[Item]):
    """Draws one number from torch's generator at the start of each pass, whatever its workers.

    A plain DataLoader does not if its workers outlive a pass: dropout, and with it every loss,
    would depend on their number. Here the seeds of workers come from a separate generator.
    """

    def __init__(self, items: GroundedDataset, loader: "LoaderSettings", **settings: Any) -> None:
        super().__init__(
            items,
            generator=torch.Generator(),
            num_workers=loader.num_workers,
            timeout=loader.timeout if loader.num_workers else 0,
            **settings,
        )

    def __iter__(self) -> Any:
        draw()
        return super().__iter__()


def draw() -> None:
    """Draw what the start of a pass takes from torch's generator."""
    torch.empty((), dtype=torch.int64).random_()


@dataclass(frozen=True, kw_only=True)
class LoaderSettings:
    """How batches are made.

    Attributes:
        batch_size: examples per training batch.
        eval_batch_size: examples per dev or test batch.
        num_workers: number of loading processes; 0 is best with cached features.
        seed: of the order of training batches.
        num_regions, eval_num_regions: number of candidates kept in training and in evaluation.
        iou_threshold: least IoU at which a candidate shows an entity.
        timeout: seconds that the next batch of a loading process is waited for.
    """

    batch_size: int
    eval_batch_size: int
    num_workers: int
    seed: int
    num_regions: int
    eval_num_regions: int
    iou_threshold: float = 0.5
    timeout: float = 120.0


class GroundedData(lightning.LightningDataModule):
    """Train, dev and test loaders over splits that were already read.

    Args:
        splits: by name (``train``, ``dev``, ``test``).
        types: names of classes 1..C.
        tokenizer: a fast tokenizer.
        inputs: what the model takes of an image.
        pixels: how its vision encoder wants it.
        loader: batch sizes, workers, numbers of candidates.
        features: cached region vectors by split, in place of crops.
        pictures: where the images of a split come from; by default their files as they are.
    """

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
        """The batch of the given examples, in this order.

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
        """Start with that epoch."""
        self._first_epoch = state_dict["epoch"]

    def train_dataloader(self) -> DataLoader[Item]:
        """Length-grouped, shuffled batches."""
        order = LengthGroupedBatches(
            [len(row.ids) for row in self.tokens["train"]],
            batch_size=self.loader.batch_size,
            seed=self.loader.seed,
            share=self._share(),
        )
        order.set_epoch(self._first_epoch)  # workers fetch before the trainer sets the epoch
        return SteadyLoader(
            self.dataset("train"),
            self.loader,
            batch_sampler=order,
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
            self.loader,
            sampler=EveryNth(len(self.splits[split].examples), self._share()),
            batch_size=self.loader.eval_batch_size,
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
