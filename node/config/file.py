"""The file as a whole, and all its problems at once."""

from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import ValidationError, model_validator

from node.config.fields import Settings
from node.config.network import Audit, Delivery, Receive, Retrieve, Status
from node.config.study import Analysis, Completion, Results, Storage
from node.errors import UsageError


class Logging(Settings):
    """What is written about the node's work. Never patient data."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


class Config(Settings):
    """The whole file."""

    receive: Receive = Receive()
    audit: Audit = Audit()
    completion: Completion = Completion()
    storage: Storage = Storage()
    analysis: Analysis = Analysis()
    results: Results = Results()
    delivery: Delivery = Delivery()
    retrieve: Retrieve = Retrieve()
    status: Status = Status()
    logging: Logging = Logging()

    @model_validator(mode="after")
    def _missing_comes_from_a_known_archive(self) -> Self:
        name = self.completion.fetch_missing_from
        if name is not None and name not in {archive.name for archive in self.retrieve.archives}:
            raise ValueError(f"completion.fetch_missing_from: no '{name}' in retrieve.archives")
        return self


def load_config(path: Path | None) -> Config:
    """Read `path`, or take the defaults where it is None.

    Raises
    ------
    UsageError
        The file cannot be read or has problems; the message lists all of them with their paths.
    """
    if path is None:
        return Config()
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read the configuration {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"the configuration {path} is not YAML: {error}") from error
    if content is not None and not isinstance(content, dict):
        raise UsageError(f"the configuration {path} must be a mapping of sections")
    try:
        return Config.model_validate(content or {})
    except ValidationError as error:
        raise UsageError(_all_problems(path, error)) from error


def with_rest_systolic(config: Config, mmhg: float) -> Config:
    """Change the systolic pressure at rest.

    Raises
    ------
    UsageError
        It is no pressure.
    """
    content = config.model_dump()
    content["analysis"]["rest_systolic_mmhg"] = mmhg
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        raise UsageError("the systolic pressure must lie between 50 and 260 mmHg") from error


def _all_problems(path: Path, error: ValidationError) -> str:
    """One line a problem, each with its path in the file."""
    lines = [f"the configuration {path} has {error.error_count()} problem(s):"]
    for problem in error.errors():
        where = ".".join(str(part) for part in problem["loc"])
        lines.append(f"  at '{where}': {problem['msg']}")
    return "\n".join(lines)
