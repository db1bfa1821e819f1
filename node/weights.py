"""Trained weights: read from the package or a file, checked, never unpickled."""

import hashlib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from node.errors import WeightsError
from pipeline.networks import AnatomyNetwork

_CHECKSUMS = "SHA256SUMS"


def anatomy_network(path: Path | None = None) -> AnatomyNetwork:
    """Build the network that outlines the heart, with the weights that ship or those at `path`.

    Raises
    ------
    WeightsError
        The weights are missing, damaged, or another network's.
    """
    weights = packaged_weights("segment") if path is None else read_weights(path)
    try:
        return AnatomyNetwork(weights)
    except RuntimeError as error:
        raise WeightsError(
            "the weights are not those of the segmentation network; if an earlier version trained "
            "them, `perfusion-node train expectation --start-from` brings them up to date"
        ) from error


def packaged_weights(name: str) -> dict[str, Tensor]:
    """Read the weights of one network that ship with the package.

    Raises
    ------
    WeightsError
        They are missing, or are not the bytes that were released.
    """
    folder = resources.files("pipeline") / "weights"
    file_name = f"{name}.safetensors"
    try:
        content = (folder / file_name).read_bytes()
        listed = (folder / _CHECKSUMS).read_text(encoding="ascii")
    except OSError as error:
        raise WeightsError(f"the weights {file_name} are not installed") from error
    if _line(content, file_name) not in listed.splitlines(keepends=True):
        raise WeightsError(f"the weights {file_name} differ from their checksum")
    return _parse(content, file_name)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read weights that were trained here, against the checksum beside them if there is one.

    Raises
    ------
    WeightsError
        The file cannot be read, differs from its checksum, or is no safetensors file.
    """
    content = _content(path)
    beside = _checksum_file(path)
    if beside.is_file() and _content(beside).decode(errors="replace") != _line(content, path.name):
        raise WeightsError(f"the weights {path.name} differ from their checksum")
    return _parse(content, path.name)


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file of weights.

    Raises
    ------
    WeightsError
        It cannot be read.
    """
    return hashlib.sha256(_content(path)).hexdigest()


def write_weights(weights: Mapping[str, Tensor], path: Path) -> str:
    """Write weights with their checksum beside them, and return it (SHA-256).

    The same weights give the same bytes.
    """
    content = save({name: value.detach().cpu().contiguous() for name, value in weights.items()})
    path.write_bytes(content)
    _checksum_file(path).write_text(_line(content, path.name), encoding="ascii")
    return hashlib.sha256(content).hexdigest()


def _line(content: bytes, name: str) -> str:
    """Write a checksum as sha256sum does: checksum, two spaces, file name."""
    return f"{hashlib.sha256(content).hexdigest()}  {name}\n"


def _checksum_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise WeightsError(f"cannot read {path.name}: {error.strerror}") from error


def _parse(content: bytes, name: str) -> dict[str, Tensor]:
    try:
        return load(content)
    except SafetensorError as error:
        raise WeightsError(f"{name} is not a safetensors file") from error
