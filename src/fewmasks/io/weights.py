"""By what weights are known: a hash of their bytes."""

import hashlib
from pathlib import Path

BLOCK = 1 << 20


def weights_digest(path: Path) -> str:
    """SHA-256 of a file of weights, or of the settings and weights in a checkpoint's folder."""
    digest = hashlib.sha256()
    found = [*path.glob("*.json"), *path.glob("*.safetensors")] if path.is_dir() else [path]
    for each in sorted(found):
        with each.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
    return digest.hexdigest()
