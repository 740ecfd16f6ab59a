"""Export end to end, as a user does it."""

from __future__ import annotations

import builtins
import io
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from resnext.engine import Classifier, ModelError, TorchEngine, open_model
from resnext.export import FORMATS, Judges, Source, export

ROOT = Path(__file__).parents[2]


def program() -> str:
    """The program of docs/ship.md that needs nothing of ours."""
    text = (ROOT / "docs" / "ship.md").read_text()
    [code] = [block.removeprefix("python\n") for block in text.split("```") if "import onnxruntime" in block]
    return code


def allowed(name: str, *rest: Any, **more: Any) -> Any:
    """`__import__` of an environment with three packages."""
    assert name.split(".")[0] in {"json", "sys", "numpy", "onnxruntime", "PIL"}, name
    return builtins.__import__(name, *rest, **more)


def test_a_program_without_this_package_agrees_on_every_image(
    source: Source, judges: Judges, photographs: list[str], tmp_path: Path
) -> None:
    code = program()
    assert len([line for line in code.splitlines() if line.strip()]) <= 40
    model = export(source, FORMATS["onnx"], tmp_path, judges).path
    scope: dict[str, Any] = {"__name__": "classify", "__builtins__": vars(builtins) | {"__import__": allowed}}
    exec(code, scope)
    with redirect_stdout(io.StringIO()) as printed:
        scope["main"](str(model), *photographs)
    rows = [line.split("\t") for line in printed.getvalue().splitlines()]
    answers = Classifier(TorchEngine(source.network, source.contract)).predict(photographs)
    assert [(path, label) for path, label, _ in rows] == [(one.key, one.label) for one in answers]
    for (_, _, probability), answer in zip(rows, answers, strict=True):
        assert float(probability) == pytest.approx(answer.probability, abs=2e-6)
    assert len({answer.label for answer in answers}) > 1


@pytest.mark.parametrize("format", FORMATS)
def test_an_export_answers_as_its_original(
    format: str, source: Source, judges: Judges, photographs: list[str], tmp_path: Path
) -> None:
    made = export(source, FORMATS[format], tmp_path, judges)
    expected = Classifier(TorchEngine(source.network, source.contract)).predict(photographs)
    exported = open_model(made.path)
    assert exported.contract == source.contract
    for one, other in zip(exported.predict(photographs), expected, strict=True):
        assert (one.label, one.rejected) == (other.label, other.rejected)
        assert dict(one.ranking) == pytest.approx(dict(other.ranking), abs=1e-5)


def test_a_folder_that_is_there_or_a_link_is_not_written_to(
    source: Source, judges: Judges, tmp_path: Path
) -> None:
    (tmp_path / "small.hub").mkdir()
    with pytest.raises(ModelError, match=r"small.hub: exists already"):
        export(source, FORMATS["hub"], tmp_path, judges)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match="link: is a link"):
        export(source, FORMATS["hub"], tmp_path / "link", judges)
    assert not any((tmp_path / "elsewhere").iterdir())


def test_what_fails_in_the_middle_leaves_nothing(source: Source, judges: Judges, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(source, FORMATS["hub"], tmp_path, judges, stop)
    assert not any(tmp_path.iterdir())
