"""The files of a GPU's results: rows.jsonl, plans.jsonl and runs.jsonl, to which lines are appended."""
import datetime
import json
import os


class Results:
    """The folder of a GPU: rows.jsonl, plans.jsonl and runs.jsonl."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.rows = {row["cell"]: row for row in self.read("rows.jsonl") if "cell" in row}

    def read(self, name):
        """The objects of a file; a line that a kill cut short is left out."""
        path = self.folder / name
        lines = path.read_text().splitlines() if path.exists() else []
        found = []
        for line in lines:
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                pass
        return [row for row in found if isinstance(row, dict)]

    def append(self, name, row):
        path = self.folder / name
        cut_short = path.exists() and path.stat().st_size and not path.read_bytes().endswith(b"\n")
        with open(path, "a") as out:
            out.write(("\n" if cut_short else "") + json.dumps(row) + "\n")
            out.flush()
            os.fsync(out.fileno())

    def add(self, row):
        row = dict(row, time=datetime.datetime.now().isoformat(timespec="seconds"))
        self.rows[row["cell"]] = row
        self.append("rows.jsonl", row)
        if row.get("plan") and row.get("key"):
            self.append("plans.jsonl", {"key": row["key"], "plan": row["plan"], "base": row["base"]})

    def has(self, cell, retry):
        row = self.rows.get(cell)
        return row is not None and not (retry and "error" in row)
