"""The pictures of the documentation can be drawn anew, and are those of what the pages say."""

from __future__ import annotations

import importlib.util
import xml.etree.ElementTree
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parent.parent.parent / "docs"


def program(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_chart_is_that_of_the_table() -> None:
    draw = program("draw_benchmarks")
    bars = draw.ratios(draw.PAGE.read_text())
    assert len(bars) > 15
    assert draw.PICTURE.read_text() == draw.drawn(bars)


def test_the_waterfall_is_drawn_from_what_the_command_gets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = program("draw_waterfall")
    there = draw.PICTURE.read_text()
    monkeypatch.setattr(draw, "PICTURE", tmp_path / "waterfall.svg")
    draw.main()
    for text in (there, draw.PICTURE.read_text()):
        titles = [
            title.text for title in xml.etree.ElementTree.fromstring(text).iter("{http://www.w3.org/2000/svg}title")
        ]
        assert {f"http://localhost:8080{path}" for path in draw.PARTS} <= set(titles)
