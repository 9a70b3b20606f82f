"""From a cubin to its kernels' instructions: nvdisasm's listing and cuobjdump's resource usage."""
import dataclasses
import glob
import os
import re
import shutil
import subprocess
import tempfile
import sys

INSTRUCTION = re.compile(r"^\s+/\*([0-9a-f]{4,6})\*/\s+(.*?)\s*;\s*/\* 0x([0-9a-f]{16}) \*/")
HIGH_WORD = re.compile(r"^\s+/\* 0x([0-9a-f]{16}) \*/")
LABEL = re.compile(r"^(\.L_x_\d+):")
SECTION = re.compile(r"^//-+ \.text\.(\S+)\s+-+")
TEXT = re.compile(r"(@!?U?P\w+\s+)?(\S+)\s*(.*)")
TARGET = re.compile(r"^\s*\.target\s+(sm_\w+)")
RESOURCES = re.compile(r"Function (\S+):\s+REG:(\d+) STACK:(\d+) SHARED:(\d+)")


class MissingTool(Exception):
    """nvdisasm or cuobjdump is not on this machine."""


def find_tool(name):
    """Path of an NVIDIA binary tool: on PATH, or in PyPI's nvidia-cuda-nvdisasm and
    nvidia-cuda-cuobjdump, or in the CUDA toolkit."""
    found = shutil.which(name)
    if found:
        return found
    for folder in sys.path + ["/usr/local"]:
        for pattern in ("nvidia/cu*/bin", "cuda*/bin"):
            for path in sorted(glob.glob(os.path.join(folder, pattern, name))):
                return path
    raise MissingTool(f"no {name}: pip install nvidia-cuda-nvdisasm nvidia-cuda-cuobjdump")


@dataclasses.dataclass
class Instruction:
    """One SASS instruction. `stall` is the least number of cycles until the warp's next one, from
    the control bits (bits 105 to 108 of the 128)."""
    address: int
    predicate: str
    op: str        # with its suffixes, such as LDS.128
    operands: str
    stall: int
    target: str    # label of a branch, or ""

    @property
    def name(self):
        return self.op.split(".")[0]

    @property
    def bytes(self):
        """Bytes that a lane moves."""
        for bits in (128, 64):
            if f".{bits}" in self.op:
                return bits // 8
        return 1 if re.search(r"\.[US]8", self.op) else 4


def parse_instruction(address, text, high_word):
    parts = TEXT.match(text)
    predicate, op, operands = (parts[1] or "").strip(), parts[2], parts[3]
    if predicate == "@!PT":  # never executed; ptxas puts such loads before some LDGSTS
        op = "NOP." + op
    target = re.search(r"`\((\.L_x_\d+)\)", operands)
    return Instruction(address, predicate, op, operands, high_word >> 41 & 15,
                       target[1] if target else "")


def parse_listing(text):
    """The target (such as sm_90a) and {mangled name: (instructions, {label: index of an
    instruction})} of `nvdisasm -c -hex`."""
    target, kernels, code, labels, pending = "", {}, None, None, None
    for line in text.splitlines():
        if match := TARGET.match(line):
            target = match[1]
        elif match := SECTION.match(line):
            code, labels = [], {}
            kernels[match[1]] = (code, labels)
        elif code is None:
            continue
        elif match := LABEL.match(line):
            labels[match[1]] = len(code)
        elif match := INSTRUCTION.match(line):
            pending = (int(match[1], 16), match[2])
        elif (match := HIGH_WORD.match(line)) and pending:
            code.append(parse_instruction(*pending, int(match[1], 16)))
            pending = None
    return target, kernels


def cubins_of(path, folder):
    """A cubin itself; of an object file the cubins of all architectures, written to `folder`."""
    if not path.endswith(".o"):
        return [path]
    folder = tempfile.mkdtemp(dir=folder)  # object files of two folders may share a name
    subprocess.run([find_tool("cuobjdump"), "--extract-elf", "all", os.path.abspath(path)],
                   check=True, capture_output=True, cwd=folder)
    return sorted(glob.glob(os.path.join(folder, "*.cubin")))


def disassemble(cubin):
    return parse_listing(subprocess.run([find_tool("nvdisasm"), "-c", "-hex", cubin], check=True,
                                        capture_output=True, text=True).stdout)


def resource_usage(cubin):
    """{mangled name: registers, bytes of stack and of static shared memory}."""
    text = subprocess.run([find_tool("cuobjdump"), "--dump-resource-usage", cubin], check=True,
                          capture_output=True, text=True).stdout
    return {name: {"registers": int(registers), "stack": int(stack), "static_shared": int(shared)}
            for name, registers, stack, shared in RESOURCES.findall(text)}


def demangle(names):
    """{mangled name: the kernel with its template arguments, without namespaces and parameters}."""
    text = subprocess.run(["c++filt"], input="\n".join(names), check=True, capture_output=True,
                          text=True).stdout
    return {name: shorten(line) for name, line in zip(names, text.splitlines())}


PRECISIONS = ("fp32", "fp32_strict", "tf32x3", "tf32", "bf16")  # assay::Precision


def shorten(name):
    name = re.sub(r"\(anonymous namespace\)::|assay::cuda::|assay::|^void ", "", name)
    name = re.sub(r"\(Precision\)(\d)", lambda m: PRECISIONS[int(m[1])], name)
    depth = 0
    for i, c in enumerate(name):
        depth += (c == "<") - (c == ">")
        if c == "(" and depth == 0:
            return name[:i]
    return name
