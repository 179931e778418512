"""The memory of this process."""

import sys


def peak_gb() -> float | None:
    """Give the highest memory of this process so far in GB (10^9 bytes); None on Windows, which does not tell."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Bytes on macOS, KiB elsewhere.
    return peak / 1e9 if sys.platform == "darwin" else peak * 1024 / 1e9
