"""Makes table.md and rows.csv from the rows of a GPU."""
import collections
import csv
import math


def peaks(results):
    """The highest rate of each kind."""
    best = {}
    for row in results.rows.values():
        if "peak" in row and "rate" in row:
            best[row["peak"]] = max(best.get(row["peak"], 0), row["rate"])
    return best


def floor_us(row, best):
    """The roofline's time and what binds: flops at the mode's rate or bytes at the copy rate."""
    if "emulated" in row:
        return None, ""
    kind = {"tf32": "tf32", "tf32x3": "tf32", "bf16": "bf16"}.get(row.get("mode"), "fp32")
    products = 3 if row.get("mode") == "tf32x3" else 1
    if "copy" not in best or kind not in best or not row.get("bytes"):
        return None, ""
    compute = products * row.get("flops", 0) / best[kind] * 1e6
    memory = row["bytes"] / best["copy"] * 1e6
    return max(compute, memory), kind if compute > memory else "copy"


def share(row, who, floor):
    return f"{100 * floor / row[who]:.0f} %" if floor and row.get(who) else ""


def number(row, key, digits=1):
    return f"{row[key]:.{digits}f}" if isinstance(row.get(key), (int, float)) else ""


def geomeans(rows):
    """Per suite, pass and mode: the geometric mean of the ratios, cold and warm."""
    groups = collections.defaultdict(list)
    for row in rows:
        parts = row["cell"].split("/")
        if len(parts) >= 4 and row.get("ratio"):  # the fifth is an algorithm that was asked for
            groups[parts[0], parts[2], "/".join(parts[3:])].append(row)
    lines = ["| suite | pass | mode | cells | ratio, cold | ratio, warm | min | max |",
             "|--|--|--|--|--|--|--|--|"]
    mean = lambda values: math.exp(sum(map(math.log, values)) / len(values))
    for (suite, what, mode), found in sorted(groups.items()):
        cold = [row["ratio"] for row in found]
        lines.append(f"| {suite} | {what} | {mode} | {len(found)} | {mean(cold):.2f} | "
                     f"{mean([row['ratio_warm'] for row in found]):.2f} | {min(cold):.2f} | "
                     f"{max(cold):.2f} |")
    return lines if groups else []


def heading(results, rows, best):
    runs = results.read("runs.jsonl")
    last = runs[-1] if runs else {}
    lines = [f"# {last.get('gpu', results.folder.name)}", ""]
    emulated = any("emulated" in row for row in rows)
    if emulated:
        lines += ["**Emulated on the CPU: the times mean nothing.**", ""]
    lines += [f"{last.get('date', '')}, commit {last.get('commit', '?')}, driver "
              f"{last.get('driver', '?')}. Commands:", ""]
    lines += [f"    {run.get('command', '')}" for run in runs] + [""]
    if best and not emulated:
        lines += ["Peaks measured on this GPU: " + ", ".join(
            f"{kind} {rate * 1e-12:.2f} {'TB/s' if kind == 'copy' else 'TFLOP/s'}"
            for kind, rate in best.items()) + ".", ""]
    return lines


def cell_table(rows, best):
    lines = ["| cell | algorithm | ours us (p10-p90) | warm | baseline us | warm | ratio | "
             "roofline: ours | baseline | bound | error | baseline |",
             "|--|--|--|--|--|--|--|--|--|--|--|--|"]
    for row in rows:
        floor, bound = floor_us(row, best)
        baseline = " ".join(filter(None, (row.get("base"), row.get("plan"), row.get("base_error"))))
        spread = f"({number(row, 'ours_p10_us')}-{number(row, 'ours_p90_us')})"
        error = f"{row['relative_error']:.1e}" if "relative_error" in row else ""
        columns = (row["cell"], row.get("algorithm", ""), f"{number(row, 'ours_us')} {spread}",
                   number(row, "ours_warm_us"), number(row, "base_us"), number(row, "base_warm_us"),
                   number(row, "ratio", 2), share(row, "ours_us", floor),
                   share(row, "base_us", floor), bound, error, baseline)
        lines.append(f"| {' | '.join(columns)} |")
    return lines


def pytorch_table(results):
    rows = [row for row in results.rows.values()
            if row["cell"].startswith("pytorch/") and "us" in row]
    if not rows:
        return []
    return ["", "| PyTorch step | us |", "|--|--|",
            *(f"| {row['cell']} | {number(row, 'us')} |" for row in rows)]


def checks_and_errors(results):
    rows = results.rows.values()
    lines = []
    checks = [row for row in rows
              if row["cell"].split("/")[0] in ("build", "conformance", "tests", "sanitizer")]
    if checks:
        failed = sum("error" in row for row in checks)
        skipped = sum(row.get("result", "").lower().startswith("skip") for row in checks)
        lines += ["", f"Checks: {len(checks)}, of them {failed} failed and {skipped} skipped."]
    lines += [f"\nLeft out: {row['cell'].split('/')[1]}, {row['result']}." for row in rows
              if row["cell"].startswith("program/") and row.get("result", "ok") != "ok"]
    errors = [row for row in rows if "error" in row]
    if errors:
        lines += ["", "## Errors", ""]
        lines += [f"- {row['cell']}: {' '.join(row['error'].split())[:300]}" for row in errors]
    return lines


def write_csv(results):
    rows = results.rows.values()
    with open(results.folder / "rows.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
        writer.writeheader()
        writer.writerows(rows)


def write_tables(results):
    best = peaks(results)
    rows = [row for row in results.rows.values() if "ours_us" in row]
    lines = [*heading(results, rows, best), *geomeans(rows), "", *cell_table(rows, best),
             *pytorch_table(results), *checks_and_errors(results)]
    (results.folder / "table.md").write_text("\n".join(lines) + "\n")
    write_csv(results)
