"""Argos packages of tiny models."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

METADATA = {"from_code": "en", "to_code": "de", "package_version": "1.9"}
OF_MODEL = ("model.bin", "config.json", "shared_vocabulary.json", "shared_vocabulary.txt")


def package(
    path: Path,
    model: Path,
    name: str = "en_de",
    metadata: Mapping[str, Any] = METADATA,
    others: Mapping[str, bytes] | None = None,
    tokenizer: str = "sentencepiece.model",
) -> Path:
    """Writes a package of a CTranslate2 directory; `others` are members more, below its folder."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}/", b"")
        archive.writestr(f"{name}/metadata.json", json.dumps(metadata))
        archive.write(model / "source.spm", f"{name}/{tokenizer}")
        for file in OF_MODEL:
            if (model / file).exists():
                archive.write(model / file, f"{name}/model/{file}")
        for member, data in (others or {}).items():
            archive.writestr(f"{name}/{member}", data)
    return path
