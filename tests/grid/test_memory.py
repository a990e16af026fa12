"""The kernel's count of processes that it ended for want of memory (R14)."""

import pytest

from gmbench.grid.runner import oom_kills


@pytest.mark.parametrize(
    ("line", "counter"),
    [
        ("0::/user/job", "user/job/memory.events"),
        ("0::/user/job", "memory.events"),
        ("7:cpu,memory:/user/job", "memory/user/job/memory.oom_control"),
    ],
)
def test_it_is_found_in_both_versions(tmp_path, line, counter):
    own, groups = tmp_path / "cgroup", tmp_path / "groups"
    own.write_text(f"3:pids:/x\n{line}\n")
    assert oom_kills(own, groups) == 0
    (groups / counter).parent.mkdir(parents=True)
    (groups / counter).write_text("low 0\noom_kill 4\n")
    assert oom_kills(own, groups) == 4


@pytest.mark.parametrize("text", ["", "nonsense", "oom_kill many", "a b c"])
def test_a_count_that_cannot_be_read_is_none(tmp_path, text):
    (tmp_path / "cgroup").write_text("0::/\n")
    (tmp_path / "memory.events").write_text(text)
    assert oom_kills(tmp_path / "cgroup", tmp_path) == 0
    assert oom_kills(tmp_path / "absent", tmp_path) == 0
    assert oom_kills() >= 0
