"""Whoever watches is told how far a job is; nobody need watch."""

from __future__ import annotations

from dawnchorus.progress import NO_PROGRESS


def test_a_job_that_nobody_watches_can_report_all_the_same() -> None:
    advance = NO_PROGRESS.start("reading clips", 3, "clips")
    advance(1)
    advance(2)
    NO_PROGRESS.message("one clip was skipped")
