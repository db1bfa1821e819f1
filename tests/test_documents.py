"""Documents are promises: what they name exists."""

import re
from pathlib import Path

import pytest
import yaml

from node import cli
from node.config import Config, load_config

ROOT = Path(__file__).parents[1]


def _spoken(command: str, document: str) -> list[str]:
    """What `command` matches where a document quotes code: at a line's start or in backticks."""
    return re.findall(rf"(?:^|`){command}", (ROOT / document).read_text(), flags=re.MULTILINE)


def test_the_example_configuration_agrees_with_every_default():
    assert load_config(ROOT / "config.yaml") == Config()


def test_the_example_configuration_shows_every_key():
    shown = yaml.safe_load((ROOT / "config.yaml").read_text())
    for name, section in Config():
        assert set(shown[name]) == set(type(section).model_fields), name


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_every_command_in_a_document_exists(document):
    named = set(_spoken(r"(?:\S*/)?perfusion-node ([a-z]+)", document))
    assert named, "the document names no command"
    assert named <= set(cli.COMMANDS)


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_every_make_target_in_a_document_exists(document):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(_spoken(r"make ([a-z-]+)", document)) <= targets


@pytest.mark.parametrize("document", [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")], ids=str)
def test_every_relative_link_in_a_document_leads_somewhere(document):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main([command, "--help"])
    assert stopped.value.code == 0
    assert command in capsys.readouterr().out
