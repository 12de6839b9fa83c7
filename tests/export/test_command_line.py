"""The command line itself: quick to start, and one line for what the user can mend."""

import subprocess
import sys

import pytest

from model_export import cli


def test_it_starts_without_what_only_some_commands_need():
    """PyTorch alone takes seconds, also from those who ask for --help."""
    code = "import sys; import model_export.cli; print({'torch', 'onnx'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"


@pytest.mark.parametrize(
    "arguments", [["challenge", "nowhere"], ["train", "{folder}/bad.toml"]], ids=lambda a: a[0]
)
def test_an_error_is_one_line_and_no_traceback(tmp_path, monkeypatch, capsys, arguments):
    """Of the service and of model-export itself."""
    (tmp_path / "bad.toml").write_text("name = ", "utf-8")
    folder = str(tmp_path)
    arguments = [each.format(folder=folder) for each in arguments]
    if arguments[0] == "train":
        arguments += ["--corpora", folder, "--run", folder]
    monkeypatch.setattr(sys, "argv", ["model-export", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith("error: ")
