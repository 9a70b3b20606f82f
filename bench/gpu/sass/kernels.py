"""How our kernels are launched, from the template arguments in their names: threads, dynamic shared
memory, and the products that one round of the main loop forms for the block. The compiled code does
not say these. A kernel that is in no row counts as 256 threads without dynamic shared memory."""
import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Launch:
    threads: int = 256
    dynamic_shared: int = 0   # bytes
    macs: int = 0             # of a block and a round of the main loop; 0: unknown
    copied_bytes: int = 0     # of a block and a round; 0: unknown
    tile: str = ""
    transforms: float = 0.0   # share of the warps that transform operands, with FFMA that are no products


def tile(kind, math, m, n, a_depth, b_depth, warps_n, warps_m, line):
    """fma_tile.cuh and mma_tile.cuh: three stages. A word holds two bf16."""
    m, n, elements = int(m), int(n), 2 if math == "Bf16" else 1
    line, padding = (16, 4) if kind == "Fma" else (int(line or 32), 0)
    depth = line * elements
    words = sum(v * (line + padding) if depth_contiguous == "true" else depth * (v + 8) // elements
                for v, depth_contiguous in ((m, a_depth), (n, b_depth)))
    side = 8 if m * n >= 64 * 64 else 4
    threads = m // side * (n // side) if kind == "Fma" else 32 * int(warps_n) * int(warps_m or 2)
    return Launch(threads, 12 * words, m * n * depth, 4 * line * (m + n), f"{m}x{n}x{depth}")


def wgmma_tile(math, n):
    """wgmma_pipeline.cuh: 128 rows, lines of 128 bytes, or of 64 if Narrow."""
    n, parts, depth = int(n), 2 if math == "Tf32x3" else 1, 64 if math == "Bf16" else 32
    stage = (64 if math == "Bf16Narrow" else 128) * (128 + parts * n)
    return Launch(384, min(6, 196 * 1024 // stage) * stage, 128 * n * depth, stage, f"128x{n}x{depth}")


ROWS = (
    (r"hopper\w*<Wgmma(Tf32x3|Tf32|Bf16Narrow|Bf16), (\d+)>", wgmma_tile),
    (r"(Fma|Mma)Tile<(?:(\w+), )?(\d+), (\d+), (true|false), (true|false)(?:, (\d+))?(?:, (\d+))?(?:, (\d+))?>", tile),
    # winograd.cu: 36 products of 32 tiles x 32 filters, two stages
    (r"conv2d_winograd", lambda: Launch(384, 8 * 36 * 8 * (36 + 32), 36 * 32 * 32 * 8, 4 * 36 * 8 * 32,
                                        "36x32x32x8", transforms=2 / 3)),
    (r"tiled_product<(\d+), (\d+)>",
     lambda m, n: Launch(256, 0, int(m) * int(n) * 16, tile=f"{m}x{n}x16")),
    (r"conv2d_(?:wgrad_)?tiled", lambda: Launch(256, 0, 64 * 64 * 8, tile="64x64x8")),
    (r"wgrad_few", lambda: Launch(256, 40000)),
    (r"few_channels|few_filters", lambda: Launch(128, 3456)),
)


def launch_of(kernel):
    for pattern, row in ROWS:
        if match := re.search(pattern, kernel):
            return row(*match.groups())
    return Launch()
