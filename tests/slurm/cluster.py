"""A real one-node Slurm on the loopback, from Debian's packages, removed when its user is done.

    apt-get install munge slurmctld slurmd slurm-client
    python -m tests.slurm.cluster COMMAND ...      # runs COMMAND inside it

Configuration, key, state and logs lie in a temporary folder. No accounting, no control groups,
ports of its own: it interferes with no Slurm that the machine may have, and needs no root.
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
    """No Slurm can be started here; the message says why."""


@contextmanager
def one_node_cluster(patience=120.0):
    """The environment in which every Slurm command addresses the cluster that runs meanwhile.

    Raises:
        Unavailable: programs are missing, or no job has run after ``patience`` seconds.
    """
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    if missing := [name for name in PROGRAMS if shutil.which(name, path=path) is None]:
        raise Unavailable(f"not installed: {', '.join(missing)}")
    folder = Path(tempfile.mkdtemp(prefix="gmbench-slurm-"))  # short: it is part of a socket's path
    environment = {**os.environ, "PATH": path, "SLURM_CONF": str(folder / "slurm.conf")}
    munge = {"key-file": "key", "socket": "socket", "pid-file": "pid", "seed-file": "seed"}
    options = [f"--{option}={folder / 'munge' / name}" for option, name in munge.items()]
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            _configure(folder, environment)
            stack.enter_context(_daemon(folder, environment, "munged", "-F", "--force", *options))
            stack.enter_context(_daemon(folder, environment, "slurmctld", "-D"))
            stack.enter_context(_daemon(folder, environment, "slurmd", "-D"))
            _first_job(folder, environment, time.monotonic() + patience)
        except (OSError, subprocess.SubprocessError) as fault:
            logs = sorted([*folder.glob("*.log"), *folder.glob("*.out")])
            ends = [f"{log.name}: {log.read_text(errors='replace')[-200:].strip()}" for log in logs]
            raise Unavailable("; ".join([str(fault), *ends])) from fault
        stack.callback(_cancel_all, environment)
        yield environment


def _configure(folder, environment):
    folder.chmod(0o755)
    for name in ("munge", "state", "spool"):
        (folder / name).mkdir(mode=0o755)
    key = folder / "munge" / "key"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o400)
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in (one, other)]
    text = CONFIGURATION.lstrip().format(
        folder=folder,
        host=socket.gethostname().partition(".")[0],
        node=_output(environment, "slurmd", "-C").splitlines()[0],  # this machine in Slurm's words
        ports=ports,
        user=getpass.getuser(),
    )
    (folder / "slurm.conf").write_text(text)


@contextmanager
def _daemon(folder, environment, *command):
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


def _first_job(folder, environment, deadline):
    """Wait until a job has run: only then is this a cluster."""
    answer, script = folder / "answer", folder / "first.sh"
    script.write_text("#!/bin/sh\nsrun --ntasks=1 echo works\n")
    submitted = False
    while not (answer.is_file() and "works" in answer.read_text()):
        if time.monotonic() > deadline:
            raise OSError("no job ran in time")
        time.sleep(0.2)
        with suppress(subprocess.SubprocessError):
            if not submitted and _output(environment, "sinfo", "-h", "-o", "%T").strip() == "idle":
                _output(environment, "sbatch", f"--output={answer}", str(script))
                submitted = True


def _output(environment, *command):
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=60
    ).stdout


def _cancel_all(environment):
    with suppress(OSError, subprocess.SubprocessError):
        _output(environment, "scancel", f"--user={getpass.getuser()}")
        for _ in range(50):
            if not _output(environment, "squeue", "-h").strip():
                return
            time.sleep(0.2)


if __name__ == "__main__":
    try:
        with one_node_cluster() as inside:
            sys.exit(subprocess.run(sys.argv[1:], env=inside, check=False).returncode)
    except Unavailable as reason:
        sys.exit(f"no Slurm here: {reason}")
