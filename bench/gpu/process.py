"""Runs the programs that measure: their output line by line, within a budget, past crashes and hangs."""
import json
import math
import os
import select
import signal
import subprocess
import sys
import tempfile
import time


class Budget:
    def __init__(self, seconds):
        self.end = time.monotonic() + seconds if seconds else math.inf

    def left(self):
        return self.end - time.monotonic()


def say(text):
    print(f"gpu/run.py: {text}", file=sys.stderr, flush=True)


def output(command, **options):
    """Standard output of a command, or "" where it cannot be run."""
    try:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                              timeout=300, **options)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def listed_by(program, *arguments):
    """The lines that a program prints and None, or [] and the reason why it could not run."""
    try:
        done = subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True,
                              timeout=300)
    except OSError as e:
        return [], f"cannot be started: {e.strerror}"
    except subprocess.TimeoutExpired:
        return [], "says nothing for 300 s"
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [""])[-1]
        return [], f"exit code {done.returncode}: {last}"
    return done.stdout.split(), None


def lines_of(command, silence, left, errors, env=None):
    """Yields the lines that a program prints, as bytes, as they come, and lastly its exit code. Ends it,
    and what it started, when it prints nothing for `silence` seconds ("silent") or time is up ("budget").
    A program that cannot be started has a text in place of an exit code."""
    try:
        process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE,
                                   stderr=errors, env=env, start_new_session=True)
    except OSError as e:
        yield f"cannot be started: {e.strerror}"
        return
    pending, last = b"", time.monotonic()
    why = None
    try:
        while True:
            wait = min(silence - (time.monotonic() - last), left())
            ready, _, _ = select.select([process.stdout], [], [], max(wait, 0))
            if not ready:
                why = "budget" if left() <= 0 else "silent"
                break
            chunk = os.read(process.stdout.fileno(), 1 << 16)
            if not chunk:
                break
            last = time.monotonic()
            *lines, pending = (pending + chunk).split(b"\n")
            yield from lines
        if pending:
            yield pending
    finally:
        if why or process.poll() is None:
            try:
                process.wait(timeout=0 if why else 5)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        process.stdout.close()
    yield why or code


def stream(command, silence, left, log):
    """The JSON objects among the lines of a program; lastly what lines_of gives at the end."""
    for line in lines_of(command, silence, left, log):
        if not isinstance(line, bytes):
            yield line
            continue
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            yield row


def run_cells(command, cells, results, budget, silence):
    """Runs the program for these cells. If it dies or hangs in one, that cell gets a row that says so
    and the program starts again with the rest. True when all cells have been dealt with."""
    waiting = list(cells)
    while waiting and budget.left() > 0:
        with (tempfile.NamedTemporaryFile("w", suffix=".cells") as file,
              open(results.folder / "log.txt", "ab") as log):
            file.write("\n".join(waiting) + "\n")
            file.flush()
            running, end = None, None
            extra = ["--seconds", f"{budget.left():.0f}"] if budget.left() < math.inf else []
            # What is in flight when time is up may still end: half a minute for it.
            grace = lambda: budget.left() + 30
            for row in stream([*command, "--cells", file.name, *extra], silence, grace, log):
                if not isinstance(row, dict):
                    end = row
                elif "begin" in row:
                    running = row["begin"]
                elif row.get("cell") in waiting:
                    results.add(row)
                    waiting.remove(row["cell"])
                    running = None
                    say(describe(row))
        if end == "budget" or budget.left() <= 0:
            break
        if running is None:
            if waiting:
                say(f"{command[0]} ended ({end}) with {len(waiting)} cells left: {waiting[0]} ...; "
                    f"see {results.folder / 'log.txt'}")
            break
        reason = "no sign of life" if end == "silent" else f"the program ended with {end}"
        results.add({"cell": running, "error": f"{reason} in this cell"})
        say(f"{running}: {reason}")
        waiting.remove(running)
    return not waiting


def describe(row):
    if "error" in row:
        return f"{row['cell']}: {row['error']}"
    if "ratio" in row:
        return f"{row['cell']}: {row['ours_us']:.1f} us, ratio {row['ratio']:.2f}"
    if "ours_us" in row:
        return f"{row['cell']}: {row['ours_us']:.1f} us"
    return f"{row['cell']}: " + " ".join(str(row[k]) for k in ("result", "rate", "us") if k in row)
