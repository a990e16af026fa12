"""The answers of a trained run to a perturbed copy, without training."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from experiments.shortcuts.effects import Answers
from experiments.shortcuts.perturb import Copy
from gmbench.core.entities import Candidates
from gmbench.core.errors import MissingRegions
from gmbench.data.regions import Size
from gmbench.serving.posts import post
from gmbench.serving.predictor import load


@dataclass
class _Given:
    """The candidates that were read with the examples."""

    of: dict[str, Candidates] = field(default_factory=dict)

    def __call__(self, *, id: str, image: Path | None, size: Size | None) -> Candidates | None:
        if id not in self.of:
            raise MissingRegions(f"{id}: no candidates")
        return self.of[id]


def answering(
    run: Path, *, reads_regions: bool, device: str = "auto", trust: Collection[str] = ()
) -> Callable[[Copy], Answers]:
    """A trained run as a function from a copy to its answers.

    Args:
        run: folder of a finished run, or of an export.
        reads_regions: whether the model chooses among candidates.
        device: where it runs.
        trust: prefixes of further packages that it may come from.

    Raises:
        InputError: the folder is no sound run or export.
    """
    given = _Given()
    predictor = load(run, device=device, regions=given if reads_regions else None, trust=trust)
    predictor.keep_vectors()  # most copies show the same pictures

    def answer(copy: Copy) -> Answers:
        given.of = {e.id: e.candidates for e in copy.examples if e.candidates is not None}
        posts = (
            post(None, words=e.words, image=e.image, id=e.id, size=e.size) for e in copy.examples
        )
        return {found.post.id: found.predictions for found in predictor.answers(posts)}

    return answer
