"""Whether the kernel ended a job for want of memory: its own count, kept for each cgroup."""

from collections.abc import Iterator
from pathlib import Path

OF_THIS_PROCESS = Path("/proc/self/cgroup")
GROUPS = Path("/sys/fs/cgroup")


def oom_kills(own: Path = OF_THIS_PROCESS, groups: Path = GROUPS) -> int:
    """Processes of our cgroup that were killed for want of memory so far.

    Args:
        own: says which cgroup is ours.
        groups: where cgroups are mounted (version 1 or 2).

    Returns:
        0 too where nobody counts.
    """
    for path in _counters(own, groups):
        try:
            rows = dict(line.split() for line in path.read_text().splitlines())
            return int(rows["oom_kill"])
        except (OSError, ValueError, KeyError):
            continue
    return 0


def _counters(own: Path, groups: Path) -> Iterator[Path]:
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = (*line.split(":", 2), "", "")[:3]
        for folder in (path.strip("/"), ""):  # in a container ours is mounted as the root
            if number == "0":
                yield groups / folder / "memory.events"
            elif "memory" in controllers.split(","):
                yield groups / "memory" / folder / "memory.oom_control"
