"""Remove what only a GPU uses from an installed torch: ``without_gpu.py PREFIX``.

The package index holds one build of torch for Linux, the one with CUDA, and a CPU runs it as it is.  Of its libraries
those stay that it is linked with, since it does not load without them; the others are loaded when a GPU asks for them.
"""

import shutil
import sys
from pathlib import Path

ONLY_FOR_A_GPU = (
    "triton",  # compiles kernels
    "nvidia/cudnn/lib/libcudnn_*",  # libcudnn.so.9, which is linked, loads these for a convolution on a GPU
    "nvidia/cu13/lib/libcusolverMg.*",
    "nvidia/cu13/lib/libnvperf_*",
    "nvidia/nvshmem/lib/*.bc",
    "nvidia/nvshmem/lib/*.a",
    "nvidia/*/include",
    "torch/include",
)


def main() -> None:
    """Remove them, and print what that saves."""
    saved = 0
    (packages,) = Path(sys.argv[1]).glob("lib/python3.*/site-packages")
    for pattern in ONLY_FOR_A_GPU:
        for path in sorted(packages.glob(pattern)):
            files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
            saved += sum(file.stat().st_size for file in files if not file.is_symlink())
            path.unlink() if path.is_file() else shutil.rmtree(path)
    sys.stdout.write(f"without what only a GPU uses: {saved / 2**20:.0f} MiB less\n")


if __name__ == "__main__":
    main()
