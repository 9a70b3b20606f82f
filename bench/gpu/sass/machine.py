"""What a multiprocessor can issue and hold, per compute capability.

Rates are those of one sub-partition (SMSP, a quarter of a multiprocessor) and come from NVIDIA's
CUDA programming guide (throughput of arithmetic instructions) and the architecture whitepapers.
"""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Machine:
    name: str
    shared_bytes: int        # of a multiprocessor, for all of its blocks
    fp32_cycles: float       # that an FFMA of a warp holds its pipe
    fp64_cycles: float
    tf32_macs: int           # of the tensor cores per cycle
    mma_sync_share: float    # of that rate which mma.sync reaches
    registers: int = 65536
    reserved_shared: int = 1024  # of a block, by the driver
    threads: int = 2048
    warps: int = 64
    blocks: int = 32

    def macs(self, element):
        return self.tf32_macs * (2 if element == "bf16" else 1)


MACHINES = {
    "sm_80": Machine("sm_80", 164 * 1024, 2, 4, 128, 1.0),
    # mma.sync reaches about .63 of wgmma's rate (Luo et al., arXiv:2402.13499).
    "sm_90a": Machine("sm_90a", 228 * 1024, 1, 2, 256, 0.63),
}

MACS_OF_MMA = {"1684": 512, "1688": 1024, "16816": 2048}  # by the shape in HMMA's name

# Opcodes of a kind, for the table.
KINDS = {
    "move": "MOV CS2R UMOV PRMT",
    "integer": "IMAD IADD3 VIADD LEA SHF LOP3 IABS UIADD3 UIMAD ULEA ULOP3 USHF ISETP SEL USEL PLOP3 "
               "UISETP IMNMX VIMNMX LOP R2UR UPRMT",
    "fp compare": "FSETP FSEL FSET FMNMX",
    "convert": "F2FP F2F F2I I2F I2FP MUFU",
    "fp64": "DFMA DADD DMUL DSETP",
    "LDS": "LDS LDSM", "STS": "STS", "LDG": "LDG LD", "STG": "STG ST", "LDGSTS": "LDGSTS",
    "spill": "LDL STL", "SHFL": "SHFL",
    "control": "BAR LDGDEPBAR DEPBAR WARPSYNC BSSY BSYNC BRA CALL RET NOP YIELD",
    "special": "LDC ULDC S2R S2UR R2P",
}
KIND_OF = {op: kind for kind, ops in KINDS.items() for op in ops.split()}

HALF_RATE = set("IADD3 VIADD LEA SHF LOP3 IABS ISETP SEL PLOP3 FSETP FSEL FSET FMNMX F2FP PRMT IMNMX "
                "VIMNMX MOV I2FP LOP".split())
MEMORY = set("LDS LDSM STS LDG STG LDGSTS LDL STL LD ST ATOM ATOMS RED SHFL".split())


def element_of(instruction):
    return "bf16" if "BF16" in instruction.op else "tf32" if "TF32" in instruction.op else "fp16"


def kind_of(instruction):
    op = instruction.op
    if instruction.name in ("HMMA", "HGMMA"):
        return f"{instruction.name}.{element_of(instruction)}"
    if instruction.name in ("FFMA", "FMUL", "FADD"):
        return instruction.name
    return "move" if op.startswith("IMAD.MOV") else KIND_OF.get(instruction.name, "other")


def is_product(kind):
    """Whether instructions of this kind are the kernel's purpose."""
    return kind == "FFMA" or is_tensor_product(kind)


def is_tensor_product(kind):
    return kind.startswith(("HMMA", "HGMMA"))


def sizes_of_wgmma(instruction):
    """(m, n, k) of HGMMA.64x128x8...."""
    return tuple(int(size) for size in instruction.op.split(".")[1].split("x"))


def macs_of_mma(instruction):
    """Multiply-adds of one warp. Four warps share a wgmma."""
    if instruction.name == "HGMMA":
        m, n, k = sizes_of_wgmma(instruction)
        return m * n * k // 4
    return MACS_OF_MMA.get(instruction.op.split(".")[1], 1024)


def pipe_cycles(machine, instruction):
    """(pipe, cycles that the instruction of a warp holds it), or None."""
    name, op = instruction.name, instruction.op
    if name in ("FFMA", "FMUL", "FADD"):
        return "fma", machine.fp32_cycles
    if name == "IMAD":
        return "fma", 1 if op.startswith("IMAD.MOV") else 4 if "WIDE" in op or "HI" in op else 2
    if name == "HMMA":
        rate = machine.macs(element_of(instruction)) * machine.mma_sync_share
        return "tensor", macs_of_mma(instruction) / rate
    if name == "HGMMA":
        return "tensor", macs_of_mma(instruction) / machine.macs(element_of(instruction))
    if name in ("DFMA", "DADD", "DMUL", "DSETP"):
        return "fp64", machine.fp64_cycles
    if name in ("MUFU", "F2F", "F2I", "I2F"):
        return "xu", 8
    if name in MEMORY:
        return "lsu", 2 if name == "SHFL" else 1
    return ("alu", 2) if name in HALF_RATE else None


def shared_wavefronts(instruction):
    """Fewest wavefronts of 128 bytes that a full warp's access to shared memory takes. A line of a
    wgmma's operand has 32 bytes; A may lie in registers."""
    if instruction.name == "HGMMA":
        m, n, _ = sizes_of_wgmma(instruction)
        in_shared = n + (m if instruction.operands.split(",")[1].strip().startswith("gdesc") else 0)
        return in_shared * 32 / 128 / 4
    if instruction.name in ("LDS", "STS", "LDGSTS"):
        return max(1, instruction.bytes * 32 // 128)
    if instruction.name == "LDSM":
        matrices = instruction.op.rsplit(".", 1)[-1]
        return int(matrices) if matrices.isdigit() else 1
    return 1 if instruction.name == "SHFL" else 0


def occupancy(machine, registers, shared, threads):
    """(blocks of a multiprocessor, what limits them)."""
    warps = -(-threads // 32)
    of_block = -(-registers * 32 // 256) * 256 * warps
    limits = {
        "registers": machine.registers // of_block,
        "shared": machine.shared_bytes // (-(-(shared + machine.reserved_shared) // 128) * 128),
        "threads": machine.threads // threads,
        "blocks": machine.blocks,
    }
    limit = min(limits, key=limits.get)
    return limits[limit], limit
