"""What reading a split gives: its examples and an account of everything odd about them."""

from dataclasses import dataclass, fields

from gmbench.structures import Example


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadReport:
    """Counts of one split; whatever a lenient policy let pass stands here.

    Attributes:
        tweets: examples read, after dropping and limiting.
        missing_images: image files that are not there.
        masked_images: image files that are there but bad, and count as missing.
        size_mismatches: of these, the ones whose size is not the xml's.
        dropped_files: xml files that could not be read.
        dropped_objects: xml objects with a fault.
        repeated_surfaces: groundable names that occur more than once in their tweet; each mention
            gets all boxes of that name.
        stray_tags: entities that an I- without a fitting B- opened.
        missing_regions: images on which the source of candidates has nothing.
        masked_regions: images whose candidates are there but bad.
        leaked_dropped: tweets left out because their text occurs in the training split.
        problems: one line for each bad file or object, in the order of reading.
    """

    tweets: int = 0
    missing_images: int = 0
    masked_images: int = 0
    size_mismatches: int = 0
    dropped_files: int = 0
    dropped_objects: int = 0
    repeated_surfaces: int = 0
    stray_tags: int = 0
    missing_regions: int = 0
    masked_regions: int = 0
    leaked_dropped: int = 0
    problems: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """Every count by its name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "problems"}

    @property
    def bad_images(self) -> int:
        """Images that no model can see: missing or masked."""
        return self.missing_images + self.masked_images


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A part of a data set (``train``, ``dev``, ``test``), in the file's order."""

    name: str
    examples: tuple[Example, ...]
    report: ReadReport

    def __len__(self) -> int:
        return len(self.examples)
