"""A real Slurm of one node on the loopback, from Debian's packages, gone when its user is done.

    apt-get install munge slurmctld slurmd slurm-client
    python -m tests.slurm.cluster COMMAND ...      # runs COMMAND inside it

Everything it writes lies in a temporary folder: configuration, key, state, logs. No accounting, no
control groups, ports of its own: it meets no Slurm that the machine may have, and needs no root.
"""

import getpass
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "srun")
CONFIGURATION = """
ClusterName=gmbench
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=10
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
KillWait=2
MessageTimeout=100
SlurmdTimeout=0
SchedulerParameters=batch_sched_delay=1,sched_interval=2
ReturnToService=2
{node} NodeAddr=127.0.0.1
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


class Unavailable(Exception):
    """No Slurm can be had here; the text says why."""


@contextmanager
def one_node_cluster(patience: float = 120.0) -> Iterator[Mapping[str, str]]:
    """The environment in which every Slurm command means the cluster that runs meanwhile.

    Args:
        patience: seconds until it must have run its first job.

    Raises:
        Unavailable: programs are missing, or a daemon or the first job will not run here.
    """
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    missing = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    if missing:
        raise Unavailable(
            f"not installed: {', '.join(missing)} (munge slurmctld slurmd slurm-client)"
        )
    folder = Path(tempfile.mkdtemp(prefix="gmbench-slurm-"))  # short: a socket's path lies in it
    environment = {**os.environ, "PATH": path, "SLURM_CONF": str(folder / "slurm.conf")}
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            _configure(folder, environment)
            for command in _daemons(folder):
                stack.enter_context(_daemon(command, folder, environment))
            _first_job(folder, environment, time.monotonic() + patience)
        except (OSError, subprocess.SubprocessError) as fault:
            raise Unavailable(f"could not be brought up: {fault}{_logs(folder)}") from fault
        stack.callback(_cancel_all, environment)
        yield environment


def _configure(folder: Path, environment: Mapping[str, str]) -> None:
    folder.chmod(0o755)
    for name in ("munge", "state", "spool"):
        (folder / name).mkdir(mode=0o755)
    key = folder / "munge" / "key"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o400)
    found = _said(["slurmd", "-C"], environment).splitlines()[0]  # this machine, in Slurm's words
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        ports = [one.getsockname()[1] for one in sockets]
    host = socket.gethostname().partition(".")[0]
    (folder / "slurm.conf").write_text(
        CONFIGURATION.format(
            folder=folder, host=host, node=found, ports=ports, user=getpass.getuser()
        ).lstrip()
    )


def _daemons(folder: Path) -> list[list[str]]:
    munge, configuration = folder / "munge", str(folder / "slurm.conf")
    paths = {"key-file": "key", "socket": "socket", "pid-file": "pid", "seed-file": "seed"}
    return [
        ["munged", "--foreground", "--force", *(f"--{k}={munge / v}" for k, v in paths.items())],
        ["slurmctld", "-D", "-f", configuration],
        ["slurmd", "-D", "-f", configuration],
    ]


@contextmanager
def _daemon(command: list[str], folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    with (folder / f"{command[0]}.out").open("wb") as output:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        yield
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=30)
        process.kill()
        process.wait()


def _first_job(folder: Path, environment: Mapping[str, str], deadline: float) -> None:
    """Wait until a job has run: only then is this a cluster."""
    answer, script = folder / "answer", folder / "first.sh"
    script.write_text("#!/bin/sh\nsrun --ntasks=1 echo works\n")
    submitted = False
    while True:
        with suppress(subprocess.SubprocessError):
            if not submitted and _said(["sinfo", "-h", "-o", "%T"], environment).strip() == "idle":
                _said(["sbatch", f"--output={answer}", str(script)], environment)
                submitted = True
        if answer.is_file() and "works" in answer.read_text():
            return
        if time.monotonic() > deadline:
            raise OSError("no job ran in time")
        time.sleep(0.2)


def _said(command: list[str], environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def _logs(folder: Path) -> str:
    """The last line that each daemon wrote."""
    lines = []
    for path in sorted([*folder.glob("*.log"), *folder.glob("*.out")]):
        if said := path.read_text(errors="replace").split("\n")[:-1]:
            lines.append(f"{path.name}: {said[-1].strip()}")
    return "".join(f"; {line}" for line in lines)


def _cancel_all(environment: Mapping[str, str]) -> None:
    with suppress(OSError, subprocess.SubprocessError):
        _said(["scancel", f"--user={getpass.getuser()}"], environment)
        for _ in range(50):
            if not _said(["squeue", "-h"], environment).strip():
                return
            time.sleep(0.2)


def main() -> int:
    """Run the command of the arguments inside a cluster; exit code 77 where there can be none."""
    try:
        with one_node_cluster() as environment:
            return subprocess.run(sys.argv[1:], env=environment, check=False).returncode
    except Unavailable as reason:
        print(f"no Slurm here: {reason}", file=sys.stderr)
        return 77


if __name__ == "__main__":
    sys.exit(main())
