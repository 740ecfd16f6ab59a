"""The summary of a run finds its images."""

from __future__ import annotations

import pytest

from resnext.reporting.run_summary import RunSummary
from resnext.run import Run


def test_an_image_is_shown_only_where_no_other_has_its_key(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """As keys of tables may stand twice, which image was meant nobody knows."""
    summary = RunSummary.read(run.folder)
    images = summary._images()
    assert images is not None
    key, twice = images.keys[0], images.keys[1]
    assert summary._thumbnails([key, twice]).keys() == {key, twice}
    images.keys = [*images.keys[:2], twice, *images.keys[3:]]
    monkeypatch.setattr(RunSummary, "_images", lambda _: images)
    assert summary._thumbnails([key, twice]).keys() == {key}
