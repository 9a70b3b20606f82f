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


def conv_tile(kind, m, n, a_depth, b_depth):
    """fma_tile.cuh and mma_tile.cuh: three stages, or the finished tile if that is larger."""
    m, n, depth = int(m), int(n), 16 if kind == "Fma" else 32
    padding = 4 if kind == "Fma" else 0
    floats = [v * (depth + padding) if depth_contiguous == "true" else depth * (v + 8)
              for v, depth_contiguous in ((m, a_depth), (n, b_depth))]
    return Launch(128, 4 * max(3 * sum(floats), m * (n + 8)), m * n * depth, tile=f"{m}x{n}x{depth}")


def product_tile(kind, m, n):
    """block_product.cuh: three stages 16 deep."""
    m, n = int(m), int(n)
    floats = sum(max(v * 20, 16 * (v + 8)) for v in (m, n))
    threads = m // 8 * (n // 8) if kind == "Fma" else 64 * (n // 32)
    return Launch(threads, 12 * floats, m * n * 16, 64 * (m + n), f"{m}x{n}x16")


ROWS = (
    (r"(Fma|Mma)Tile<(?:\w+, )?(\d+), (\d+), (true|false), (true|false)", conv_tile),
    (r"(Fma|Mma)Math<(?:\w+, )?(\d+), (\d+)>", product_tile),
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
