"""When a region is right, and how many pairs can be matched: the exact rules below the counts."""

from collections.abc import Iterable, Sequence

from gmbench.structures import Box


def region_right(box: Box | None, boxes: Sequence[Box], iou_threshold: float = 0.5) -> bool:
    """Whether a predicted region answers gold ``boxes``: none for none, else IoU with any one.

    A box without area is still a box: never *none*, and wrong everywhere.
    """
    if box is None:
        return not boxes
    return any(iou(box, gold) >= iou_threshold for gold in boxes)


def iou(first: Box, second: Box) -> float:
    """Intersection over union of two xyxy boxes in double precision; 0.0 if either has no area.

    No ``+ 1``, no epsilon, and a box turned round has no area: the threshold is met exactly.
    """
    # float() keeps a float32 that reached a record from dragging the arithmetic down with it.
    ax1, ay1, ax2, ay2 = map(float, first)
    bx1, by1, bx2, by2 = map(float, second)
    area_a = max(0.0, ax2 - ax1) * max(0.0, ay2 - ay1)
    area_b = max(0.0, bx2 - bx1) * max(0.0, by2 - by1)
    if area_a == 0.0 or area_b == 0.0:
        return 0.0
    width = max(0.0, min(ax2, bx2) - max(ax1, bx1))
    inter = width * max(0.0, min(ay2, by2) - max(ay1, by1))
    return inter / (area_a + area_b - inter)


def maximum_matching(edges: Sequence[Iterable[int]]) -> int:
    """Size of a maximum one-to-one matching; ``edges[i]`` are the partners that ``i`` may take."""
    return len(match(edges))


def match(edges: Sequence[Iterable[int]]) -> dict[int, int]:
    """A maximum one-to-one matching, as ``partner: i``; earlier partners are tried first."""
    taken: dict[int, int] = {}

    def place(left: int, seen: set[int]) -> bool:
        for right in edges[left]:
            if right in seen:
                continue
            seen.add(right)
            if right not in taken or place(taken[right], seen):
                taken[right] = left
                return True
        return False

    for left in range(len(edges)):
        place(left, set())
    return taken
