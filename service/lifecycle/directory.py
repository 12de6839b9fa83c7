"""Which bundles a directory holds, as NAME/ or as NAME/VERSION/. Reads manifests, opens no graph.

A directory whose name begins with a dot is passed over: a place to copy into before renaming.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from service.engine.bundle import MANIFEST, Manifest, read_manifest
from service.errors import BundleError

Key = tuple[str, str]
"""Name and version of a model."""
Stamp = tuple[tuple[str, int, int, int], ...]
"""Name, inode, size and time of each file of a bundle: another stamp, another bundle."""

_NUMBERS = re.compile(r"([0-9]+)")


@dataclass(frozen=True, slots=True)
class FoundBundle:
    """A bundle on disk whose manifest could be read; nothing else of it has been."""

    path: Path
    manifest: Manifest
    stamp: Stamp

    @property
    def key(self) -> Key:
        """What it would be served as."""
        return self.manifest.name, self.manifest.version


@dataclass(frozen=True, slots=True)
class Inventory:
    """What was found, by name and version; and what is wrong with the rest, by path."""

    bundles: Mapping[Key, FoundBundle]
    faults: Mapping[Path, str]

    def find(self, name: str, version: str | None = None) -> FoundBundle | None:
        """A version of a model, by default its highest."""
        if version is not None:
            return self.bundles.get((name, version))
        versions = [found for (named, _), found in self.bundles.items() if named == name]
        return max(versions, key=lambda found: version_order(found.manifest.version), default=None)


def version_order(version: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts "2" before "10" and "1.9" before "1.10"."""
    parts = _NUMBERS.split(version)
    return tuple((1, int(p), "") if p.isdecimal() else (0, 0, p) for p in parts if p)


def take_inventory(directory: Path) -> Inventory:
    """Every bundle below a directory, sorted by name and version."""
    bundles: dict[Key, FoundBundle] = {}
    faults: dict[Path, str] = {}
    for path in _candidates(directory):
        try:
            manifest = read_manifest(path)
            found = FoundBundle(path, manifest, _stamp(path, manifest))
        except BundleError as error:
            faults[path] = str(error)
        except Exception as error:  # whatever it is, the others are not to suffer from it
            faults[path] = f"{path} cannot be read: {error}"
        else:
            first = bundles.setdefault(found.key, found)
            if first is not found:
                name, version = found.key
                faults[path] = f"{path} is left out: {first.path} is {name} {version} too"
    order = sorted(bundles, key=lambda key: (key[0], version_order(key[1])))
    return Inventory({key: bundles[key] for key in order}, faults)


def _candidates(directory: Path) -> Iterator[Path]:
    for pattern in (f"*/{MANIFEST}", f"*/*/{MANIFEST}"):
        for file in sorted(directory.glob(pattern)):
            below = file.relative_to(directory).parts
            if not any(part.startswith(".") for part in below):
                yield file.parent


def _stamp(path: Path, manifest: Manifest) -> Stamp:
    stamp = []
    for name in (MANIFEST, *sorted(manifest.files)):
        try:
            status = (path / name).stat()
        except OSError:
            stamp.append((name, 0, 0, 0))  # not there yet
        else:
            stamp.append((name, status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(stamp)
