"""The machine and the libraries that a benchmark ran on."""

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from service.settings import available_cores

LIBRARIES = ("onnxruntime", "ctranslate2", "torch", "numpy", "fastapi", "uvicorn")


@dataclass(frozen=True, slots=True)
class Machine:
    """What figures depend on."""

    cpu: str
    cores: int
    """Cores that this process may use."""
    memory_gib: float
    instructions: tuple[str, ...]
    """The wide ones among the CPU's extensions."""
    libraries: tuple[str, ...]
    """`name version` of each that is installed."""


def this_machine() -> Machine:
    """Reads /proc where there is one; elsewhere the name of the CPU is what Python knows."""
    info = _read(Path("/proc/cpuinfo"))
    names = [line.partition(":")[2].strip() for line in info if line.startswith("model name")]
    flags = next((line.split() for line in info if line.startswith("flags")), [])
    wide = [flag for flag in ("avx2", "avx512f", "avx512_vnni", "amx_int8") if flag in flags]
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Machine(
        names[0] if names else platform.processor() or platform.machine(),
        available_cores(),
        pages / 2**30,
        tuple(wide),
        tuple(found for name in LIBRARIES if (found := _version(name))),
    )


def heading(machine: Machine, command: str) -> str:
    """One paragraph: when, where, with what."""
    today = datetime.now(UTC).date().isoformat()
    libraries = ", ".join(machine.libraries)
    return (
        f"{today}, `{command}`. {machine.cpu} ({', '.join(machine.instructions)}), "
        f"{machine.cores} cores, {machine.memory_gib:.0f} GiB of memory. "
        f"Python {platform.python_version()}, {libraries}."
    )


def resident_mib() -> float:
    """Memory that this process holds now, in MiB."""
    return _status("VmRSS")


def peak_mib() -> float:
    """The most memory that this process has held, in MiB."""
    return _status("VmHWM")


def _status(field: str) -> float:
    for line in _read(Path("/proc/self/status")):
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise OSError("this system has no /proc/self/status to read memory from")


def _read(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines() if path.exists() else []


def _version(name: str) -> str:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return ""
