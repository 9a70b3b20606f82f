"""The main loop of a kernel: what a warp issues a round, what binds, and the share of peak that
this allows."""
import collections

from sass.kernels import launch_of
from sass.loops import FlowGraph
from sass.machine import (is_product, is_tensor_product, kind_of, macs_of_mma, element_of, occupancy,
                          pipe_cycles, shared_wavefronts)


def products_in(instructions):
    return sum(is_product(kind_of(i)) for i in instructions)


def main_loop(loops):
    """The loop that multiplies behind a barrier; with the most products, then the shortest. Of
    loops with wgmma, which wait in loops of their own: an innermost one."""
    def wgmmas(loop):
        return sum(i.name == "HGMMA" for i in loop.instructions())
    innermost = [loop for loop in loops if wgmmas(loop) and not any(map(wgmmas, loop.inner))]
    if innermost:
        return max(innermost, key=lambda loop: (wgmmas(loop), -len(list(loop.instructions()))))

    def order(loop):
        body = list(loop.instructions())
        products = products_in(body)
        return (products > 0 and any(i.name == "BAR" for i in body), products, -len(body))
    return max(loops, key=order, default=None)


def macs_in(instructions):
    """Multiply-adds of a warp."""
    return sum(32 if i.name == "FFMA" else macs_of_mma(i) if is_tensor_product(i.name) else 0
               for i in instructions)


def weights_of(loop, launch, kernel):
    """{block: how often it runs in a round of the loop}.

    An inner loop that multiplies runs as often as the round's products say. The 4-byte copies that
    stand beside 16-byte ones are for operands that are not aligned: they do not run. A copy loop
    that is only partly unrolled runs as often as the round's bytes say.
    """
    weights = dict.fromkeys(loop.blocks, 1.0)
    inner = max(loop.inner, key=lambda l: products_in(l.instructions()), default=None)
    if inner is not None and products_in(inner.instructions()) and launch.macs:
        wanted = launch.macs / (launch.threads / 32) * (3 if "tf32x3" in kernel.lower() else 1)
        outside = 0 if launch.transforms else macs_in(loop.instructions(loop.blocks - inner.blocks))
        times = max(1, round((wanted - outside) / macs_in(inner.instructions())))
        weights.update(dict.fromkeys(inner.blocks, times))
        if launch.transforms:
            weights.update((b, launch.transforms) for b in loop.blocks - inner.blocks
                           if any(i.name in ("FFMA", "LDG", "STS") for i in loop.graph.code_of(b)))

    def copies(block, size):
        return sum(i.name == "LDGSTS" and i.bytes == size for i in loop.graph.code_of(block))
    wide = [b for b in loop.blocks if copies(b, 16)]
    narrow = [b for b in loop.blocks if copies(b, 4)]
    if wide and narrow:
        weights.update(dict.fromkeys(narrow, 0.0))
        if launch.copied_bytes:
            needed = launch.copied_bytes / 16 / launch.threads
            weights.update(dict.fromkeys(wide, needed / sum(copies(b, 16) for b in wide)))
    return weights


def analyse(machine, kernel, code, labels, resources):
    """A row of the report. `bound` is the share of the machine's peak for the kernel's products
    that issue slots, pipes and shared memory allow; None if the kernel multiplies in no loop."""
    launch = launch_of(kernel)
    shared = resources["static_shared"] + launch.dynamic_shared
    blocks, limit = occupancy(machine, resources["registers"], shared, launch.threads)
    row = {"kernel": kernel, "machine": machine.name, "tile": launch.tile, **resources,
           "shared": shared, "threads": launch.threads, "blocks_per_sm": blocks,
           "limited_by": limit, "warps_per_smsp": blocks * launch.threads / 128, "bound": None}
    loop = main_loop(FlowGraph(code, labels).loops())
    if loop is None or not products_in(loop.instructions()):
        return row

    mix, memory, cycles = collections.Counter(), collections.Counter(), collections.Counter()
    products = 0.0  # cycles of their pipe at peak
    for block, weight in weights_of(loop, launch, kernel).items():
        for i in loop.graph.code_of(block):
            mix[kind_of(i)] += weight
            cycles["issue"] += weight
            cycles["shared memory"] += 4 * weight * shared_wavefronts(i)  # four SMSPs share it
            if pipe := pipe_cycles(machine, i):
                cycles[pipe[0]] += weight * pipe[1] * (4 if pipe[0] == "lsu" else 1)
            if i.name in ("LDS", "LDSM", "LDG", "LDGSTS", "STS", "STG"):
                memory[f"{i.name}.{i.bytes * 8}"] += weight
            if i.name == "FFMA":
                products += weight * machine.fp32_cycles
            elif is_tensor_product(i.name):
                products += weight * macs_of_mma(i) / machine.macs(element_of(i))
    tensor = any(map(is_tensor_product, mix))
    if launch.transforms:
        products = launch.macs / launch.threads * machine.fp32_cycles
    if tensor:  # the FFMA beside them are not the purpose
        products -= mix["FFMA"] * machine.fp32_cycles
    binds = max(cycles, key=cycles.get)
    useful = sum(n for kind, n in mix.items() if is_tensor_product(kind)) if tensor else \
        launch.macs / launch.threads if launch.transforms else mix["FFMA"]
    row.update(issued=round(cycles["issue"]), useful=round(useful), mix=rounded(mix),
               memory=rounded(memory), cycles=rounded(cycles), barriers=round(mix["control"] and sum(
                   i.name == "BAR" for i in loop.instructions())),
               binds=binds, bound=round(products / cycles[binds], 4))
    return row


def rounded(counter):
    return {key: round(n, 1) for key, n in sorted(counter.items()) if n}
