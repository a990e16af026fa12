"""GroundedF1: the strict protocol as a torchmetrics metric, exact on any number of processes.

The state is one row of integers an example, at the example's place among the sorted ids, and rows
of all processes are joined by their maximum. Padded or repeated samples, uneven shares and empty
processes therefore change nothing, and no float is ever summed across processes.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from gmbench.core.entities import Entity, Prediction
from gmbench.scoring.counting import CorpusScores, Tally

ABSENT = 2**31 - 1
"""In the ``low`` state: no process has scored this example."""


class GroundedF1(Metric):
    """GMNER, MNER and EEG counts of predictions against gold, by example id.

    Args:
        gold: entities by example id; decides which examples there are.
        types: every type that gold or predictions may have.

    Raises:
        ValueError: gold has a type that ``types`` lacks.

    Call ``update`` for each batch, then ``scores``; ``compute`` is the tensor twin of ``scores``.
    """

    full_state_update = False
    is_differentiable = False
    higher_is_better = True

    high: Tensor
    low: Tensor

    def __init__(
        self,
        *,
        gold: Mapping[str, Sequence[Entity]],
        types: Sequence[str],
    ) -> None:
        super().__init__()
        self.gold = gold
        self.types = tuple(types)
        self.ids = tuple(sorted(gold))
        self._place = {id_: place for place, id_ in enumerate(self.ids)}
        for id_ in self.ids:
            self._check_types(id_, gold[id_])
        # Columns: scored (1), then true positives of EEG, then Tally's five integers for each type.
        shape = (len(self.ids), 2 + 5 * len(self.types))
        # The least row beside the greatest: they differ where an example was scored in two ways.
        self.add_state("high", torch.zeros(shape, dtype=torch.int64), dist_reduce_fx="max")
        self.add_state("low", torch.full(shape, ABSENT), dist_reduce_fx="min")

    def update(self, ids: Sequence[str], predictions: Sequence[Sequence[Prediction]]) -> None:
        """Score some examples; one that was scored already counts once.

        Raises:
            ValueError: an id is not in gold, a type is unknown, or the lengths differ.
        """
        if len(ids) != len(predictions):
            raise ValueError(f"{len(ids)} ids but {len(predictions)} lists of predictions")
        if not ids:
            return
        rows = torch.tensor([self._row(*pair) for pair in zip(ids, predictions, strict=True)])
        rows = rows.to(self.high.device)
        # Row by row: an index may stand twice in one batch, and both must count.
        for id_, row in zip(ids, rows, strict=True):
            place = self._place[id_]
            self.high[place] = torch.maximum(self.high[place], row)
            self.low[place] = torch.minimum(self.low[place], row)

    def compute(self) -> Tensor:
        """The joined rows of all processes, ``[N, 2 + 5 C]`` int64, N examples and C types.

        Raises:
            ValueError: an example was scored twice with different counts.
        """
        scored = self.high[:, 0] > 0
        differing = scored & (self.high != self.low).any(dim=1)
        if differing.any():
            first = self.ids[int(differing.nonzero()[0])]
            raise ValueError(
                f"{int(differing.sum())} examples were scored twice with different predictions, "
                f"the first is {first!r}; call reset() between two passes"
            )
        return self.high

    def scores(self) -> CorpusScores:
        """The counts over all processes; ``n`` is the number of different examples.

        Raises:
            ValueError: an example was never scored, or was scored in two ways.
        """
        table = self.compute().cpu()
        scored = table[:, 0] > 0
        missing = [id_ for id_, here in zip(self.ids, scored.tolist(), strict=True) if not here]
        if missing:
            raise ValueError(
                f"{len(missing)} of {len(self.ids)} examples were never scored: "
                f"{', '.join(missing[:5])}{' ...' if len(missing) > 5 else ''}"
            )
        sums = table.sum(dim=0).tolist()
        rows = {name: sums[2 + 5 * c : 7 + 5 * c] for c, name in enumerate(self.types)}
        seen = {name: row for name, row in rows.items() if any(row)}
        return Tally(n=sums[0], eeg_tp=sums[1], types=seen).corpus()

    def _row(self, id_: str, predictions: Sequence[Prediction]) -> list[int]:
        if id_ not in self._place:
            raise ValueError(f"example {id_!r} has predictions but is not in gold")
        self._check_types(id_, predictions)
        tally = Tally()
        tally.add(self.gold[id_], predictions)
        return [1, tally.eeg_tp, *(number for name in self.types for number in tally.row(name))]

    def _check_types(self, id_: str, entities: Sequence[Entity] | Sequence[Prediction]) -> None:
        for entity in entities:
            if entity.type not in self.types:
                known = ", ".join(self.types)
                raise ValueError(f"example {id_!r}: unknown type {entity.type!r}; known: {known}")
