"""Which runs may stand in one table of the leaderboard, and why others may not."""

from gmbench.reporting.results import RunResult

GIVEN_TEXT = "model.decode.given_text=true"
"""The override of a run that answers with gold spans and types, to measure regions alone."""


def given_text(result: RunResult) -> bool:
    """Whether the run was given the gold text, so that it may not stand beside one that was not."""
    return any(o.lstrip("+").lower() == GIVEN_TEXT for o in result.config.overrides)


def identity(result: RunResult) -> tuple[object, ...]:
    """What must be equal of two runs in one table."""
    data = result.data
    return (
        result.protocol,
        data.name,
        data.fingerprint,
        data.split,
        data.n,
        data.limit,
        data.saw_pixels,
        given_text(result),
    )


def order(result: RunResult) -> tuple[object, ...]:
    """Real data first, whole before limited, with pixels before without."""
    data = result.data
    protocol = result.protocol
    return (
        data.synthetic,
        data.name,
        data.limit is not None,
        not data.saw_pixels,
        given_text(result),
        data.split,
        protocol.name,
        protocol.version,
        protocol.iou_threshold,
        data.fingerprint,
        data.n,
    )


def title(result: RunResult) -> str:
    """Data, split, size and protocol of a table."""
    data, protocol = result.data, result.protocol
    return (
        f"{data.name}{' (built-in world)' if data.synthetic else ''}, {data.split} split, "
        f"{data.n} tweets, protocol {protocol.name} {protocol.version}, "
        f"data {data.fingerprint[:8]}"
    )


def apart(result: RunResult, first: RunResult) -> tuple[str, ...]:
    """Why a league does not stand in the first table."""
    data, other = result.data, first.data
    reasons = []
    if result.protocol != first.protocol:
        reasons.append(f"counted by {result.protocol.name} {result.protocol.version}")
    if data.name != other.name:
        reasons.append(f"data set {data.name}")
    elif data.fingerprint != other.fingerprint:
        reasons.append("other files of the same data set (fingerprint)")
    if data.split != other.split:
        reasons.append(f"{data.split} split")
    if (data.limit, data.n) != (other.limit, other.n):
        reasons.append("all tweets" if data.limit is None else f"limited to {data.limit} tweets")
    if data.saw_pixels != other.saw_pixels:
        reasons.append("saw pixels" if data.saw_pixels else "saw no pixels: ranked by MNER")
    if given_text(result) != given_text(first):
        reasons.append("was given the gold text" if given_text(result) else "read the text itself")
    return tuple(reasons)
