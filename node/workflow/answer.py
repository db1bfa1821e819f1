"""What the ledger needs of the answer of `perfusion-node process --json`."""

from pathlib import Path
from typing import cast

from node.completion import what_is_missing
from node.index.ledger import Result


def essence(answer: dict[str, object]) -> dict[str, object]:
    """Keep of the answer what the ledger needs; the tables of numbers stay in the objects."""
    return {
        "status": str(answer["status"]),
        "reason": str(answer.get("reason") or ""),
        "objects": answer.get("objects") or [],
        "missing": what_is_missing(
            cast("list[dict[str, object]]", answer.get("first_passes") or [])
        ),
    }


def results_of(answer: dict[str, object], folder: str) -> list[Result]:
    """Read the results from the essence of an answer; their files lie in `folder`."""
    objects = cast("list[dict[str, str]]", answer["objects"])
    return [
        Result(
            sop_instance_uid=made["sop_instance_uid"],
            sop_class_uid=made["sop_class_uid"],
            kind=made["kind"],
            file=f"{folder}/{Path(made['file']).name}",
        )
        for made in objects
    ]
