"""apps/suite/slurm on a Slurm of one node: the commands of its README train a suite in shards, with tasks
numbered from 1 and from 0; a task stopped before its time limit is put back and resumes; results of the
joined report are those of the same suite in one process.

    slurm_test.py ASSAY      ASSAY is the program

Slurm runs in a temporary folder as the user who runs the test, without cgroups.
"""
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

SLURM = pathlib.Path(__file__).resolve().parents[2] / "apps" / "suite" / "slurm"
PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"
TOOLS = ["munged", "slurmctld", "slurmd", "sbatch", "scontrol", "scancel"]
PATIENCE = 600  # seconds; a loaded machine may need minutes for what takes seconds
STEPS = 60

CONFIG = """ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldTimeout=300
SlurmdTimeout=300
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SchedulerType=sched/builtin
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE
"""


# The program, which leaves its process id in pid-OUT-TASK.
PROGRAM = """#!/bin/sh
[ "$1" = suite ] && echo $$ > "pid-$5-${{SLURM_ARRAY_TASK_ID:-}}"
exec {assay} "$@"
"""


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Slurm:
    """munged, slurmctld and slurmd, as long as the object is entered."""

    def __init__(self, folder):
        self.folder = folder
        self.daemons = []

    def __enter__(self):
        self.folder.chmod(0o755)  # munged wants to be reachable by every user
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        host = socket.gethostname().split(".")[0]
        conf = self.folder / "slurm.conf"
        conf.write_text(CONFIG.format(host=host, user=pwd.getpwuid(os.getuid()).pw_name,
                                      ports=free_ports(2), folder=self.folder))
        self.env = {**os.environ, "PATH": PATH, "SLURM_CONF": str(conf)}
        names = {what: f"{self.folder}/munge.{what}" for what in ("socket", "pid", "log", "seed")}
        try:
            # --force: the folder above belongs to another user.
            self.start("munged", "--foreground", "--force", f"--key-file={key}",
                       f"--socket={names['socket']}", f"--pid-file={names['pid']}",
                       f"--log-file={names['log']}", f"--seed-file={names['seed']}")
            self.wait_for(lambda: os.path.exists(names["socket"]), "munged")
            self.start("slurmctld", "-D", "-c")
            self.start("slurmd", "-D", "-c", "-N", host)
            self.wait_for(lambda: self.answers("sinfo", "-h", "-o", "%t") in ("idle", "mix", "alloc"),
                          "the node")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if any(name == "slurmctld" for name, _ in self.daemons):
            subprocess.run(["scancel", "--full", "--signal=KILL", "--user", str(os.getuid())],
                           env=self.env, capture_output=True)
        for _, process in reversed(self.daemons):
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def start(self, name, *words):
        with open(self.folder / f"{name}.out", "w") as out:
            self.daemons.append((name, subprocess.Popen(
                [shutil.which(name, path=PATH), *words], env=self.env, stdin=subprocess.DEVNULL,
                stdout=out, stderr=subprocess.STDOUT, start_new_session=True)))

    def answers(self, *command):
        return subprocess.run(command, env=self.env, capture_output=True, text=True).stdout.strip()

    def wait_for(self, condition, what):
        end = time.monotonic() + PATIENCE
        while not condition():
            for name, process in self.daemons:
                if process.poll() is not None:
                    raise AssertionError(f"{name} ended:\n{self.outputs()}")
            if time.monotonic() > end:
                raise AssertionError(f"waited too long for {what}\n{self.outputs()}")
            time.sleep(0.02)

    def outputs(self):
        """The last lines of every daemon and job."""
        files = [*self.folder.glob("*.out"), *self.folder.glob("work/*.log")]
        return "".join(f"--- {f.name}\n{f.read_text(errors='replace')[-1500:]}\n" for f in files)


def pending(process, number):
    """Whether a stopped process will receive a signal when it continues."""
    status = pathlib.Path(f"/proc/{process}/status").read_text()
    return bool(int(re.search(r"ShdPnd:\s*(\w+)", status).group(1), 16) >> (number - 1) & 1)


def readme_commands():
    text = (SLURM / "README.md").read_text()
    return re.search(r"```sh\n(.*?)```", text, re.S).group(1)


def results(folder):
    return json.loads((folder / "results.json").read_text())


class SlurmSuite(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="assay-slurm-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.work = self.folder / "work"
        (self.work / "bin").mkdir(parents=True)
        program = self.work / "bin" / "assay"
        program.write_text(PROGRAM.format(assay=ASSAY))
        program.chmod(0o755)
        (self.work / "apps").symlink_to(SLURM.parents[1])

    def suite_arguments(self, out):
        return ["--data", "builtin", "--out", out, "--models", "kd-cae", "--classes", "ring,leather",
                "--image-size", "16", "--steps", str(STEPS)]

    def submit(self, slurm, array, out):
        """Runs the README's commands, with tiny runs; the id of the array and of the report."""
        commands = readme_commands()
        for old, new in [("--array=1-4", f"--array={array} --cpus-per-task=1"),
                         ("--data builtin --out suite", " ".join(self.suite_arguments(out))),
                         ("assay report suite", f"assay report {out}"),
                         ("assay-report.log", f"{out}-report.log")]:
            self.assertIn(old, commands)
            commands = commands.replace(old, new)
        env = {**slurm.env, "PATH": f"{self.work}/bin:{PATH}"}
        done = subprocess.run(["bash", "-euc", commands + "echo $job"], env=env, cwd=self.work,
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        report, job = re.search(r"job (\d+)\n(\d+)", done.stdout).groups()
        return job, report

    def ended(self, slurm, job):
        state = slurm.answers("scontrol", "show", "job", job)
        states = re.findall(r"JobState=(\w+)", state)
        self.assertTrue(states, state)
        return states if not {*states} & {"PENDING", "RUNNING", "COMPLETING"} else []

    def check_joined(self, slurm, job, report, out):
        slurm.wait_for(lambda: self.ended(slurm, report), "the report")
        self.assertEqual({*self.ended(slurm, job), *self.ended(slurm, report)}, {"COMPLETED"},
                         slurm.outputs())
        found, expected = results(self.work / out), results(self.work / "whole")
        self.assertEqual(len(found["cells"]), 2)
        self.assertEqual(found["seeds"], expected["seeds"])
        self.assertIn("leather", (self.work / out / "report" / "index.html").read_text())

    def test_suite(self):
        subprocess.run([ASSAY, "suite", *self.suite_arguments("whole")], cwd=self.work, check=True,
                       capture_output=True)
        with Slurm(self.folder) as slurm:
            job, report = self.submit(slurm, "1-2", "from-one")
            self.check_joined(slurm, job, report, "from-one")

            # Stopped as Slurm does before the time limit, the first task goes back and resumes.
            job, report = self.submit(slurm, "0-1", "from-zero")
            checkpoint = self.work / "from-zero" / "kd-cae-ring-seed1" / "checkpoint.safetensors"
            slurm.wait_for(checkpoint.exists, "the checkpoint")
            suite = int((self.work / "pid-from-zero-0").read_text())
            os.kill(suite, signal.SIGSTOP)  # else the run might end before the signal has arrived
            self.assertEqual(slurm.answers("scancel", "--batch", "--signal=USR1", f"{job}_0"), "")
            slurm.wait_for(lambda: pending(suite, signal.SIGTERM), "the signal")
            os.kill(suite, signal.SIGCONT)
            log = self.work / f"assay-suite-{job}_0.log"
            slurm.wait_for(lambda: "start 2" in log.read_text(), "the second start")
            self.check_joined(slurm, job, report, "from-zero")
            self.assertIn("goes back to the queue", log.read_text())
            self.assertIn("going on after epoch", log.read_text())

            # Tasks of an array with gaps are no shards.
            job, _ = self.submit(slurm, "1,3", "gaps")
            slurm.wait_for(lambda: self.ended(slurm, job), "the array with gaps")
            self.assertEqual({*self.ended(slurm, job)}, {"FAILED"})
            self.assertFalse((self.work / "gaps").exists())


if __name__ == "__main__":
    ASSAY = str(pathlib.Path(sys.argv.pop(1)).resolve())
    absent = [tool for tool in TOOLS if not shutil.which(tool, path=PATH)]
    if absent:
        print(f"SKIPPED: no {absent[0]} here; Debian's packages are slurm-wlm and munge")
        sys.exit(0)
    unittest.main()
