import pytest

from node.cli import main
from node.config import load_config
from node.errors import UsageError


def test_an_empty_file_is_a_valid_configuration(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("")
    assert load_config(file) == load_config(None)


def test_every_problem_is_reported_at_once_with_its_path(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(
        "receive: {port: 99999, ae_titel: X}\ndelivery: {destinations: [{name: pacs}]}\n"
    )
    with pytest.raises(UsageError) as raised:
        load_config(file)
    for path in ("receive.port", "receive.ae_titel", "delivery.destinations.0.ae_title"):
        assert path in str(raised.value)


def test_a_file_that_is_no_yaml_is_a_usage_error(tmp_path, capsys):
    file = tmp_path / "config.yaml"
    file.write_text("receive: [")
    assert main(["check", "--config", str(file)]) == 2
    assert "not YAML" in capsys.readouterr().err


def test_a_missing_file_is_a_usage_error(tmp_path, capsys):
    assert main(["check", "--config", str(tmp_path / "absent.yaml")]) == 2
    assert "cannot read" in capsys.readouterr().err


@pytest.mark.parametrize(
    "url",
    ["postgres://node:Password@h/x", "node:Password@h", "postgresql+psycopg://n:Password@h:p"],
)
def test_a_database_of_another_kind_is_reported_and_its_password_is_not(tmp_path, url):
    path = tmp_path / "config.yaml"
    path.write_text(f"storage: {{database_url: '{url}'}}\n")
    with pytest.raises(
        UsageError, match=r"at 'storage.database_url': .*postgresql\+psycopg"
    ) as bad:
        load_config(path)
    assert "Password" not in str(bad.value)


def test_a_pattern_that_is_no_regular_expression_is_reported_with_its_path(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("analysis: {stress_words: ['stress', '(']}")

    with pytest.raises(UsageError, match=r"analysis\.stress_words\.1.*no regular expression"):
        load_config(file)


ARCHIVE = "{name: pacs, ae_title: PACS, host: pacs, port: 104}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("audit: {repository: syslog.example.org}", "'audit': .*needs tls"),
        (
            f"receive: {{senders: [{{ae_title: MR, certificates: [{'a' * 64}]}}]}}",
            "'receive': .*only seen with tls",
        ),
        (f"delivery: {{destinations: [{ARCHIVE}, {ARCHIVE}]}}", "'delivery': .*the same name"),
        (f"retrieve: {{archives: [{ARCHIVE}, {ARCHIVE}]}}", "'retrieve': .*the same name"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(tmp_path, text, problem):
    file = tmp_path / "config.yaml"
    file.write_text(text)

    with pytest.raises(UsageError, match=problem):
        load_config(file)
