"""How ``pretrain`` and ``posttrain`` talk: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.cli import output
from dawnchorus.cli.streams import tell
from dawnchorus.models.card import CARD_FILE, Card
from dawnchorus.training.devices import is_first

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dawnchorus.configs import TrainConfig
    from dawnchorus.training.run import TrainReport

CLEAR_LINE: Final = "\r\x1b[K"  # back to the start, and erase to the end
# what `line_of` shows at a place of its own; all else of a record is a part of the loss
SHOWN_APART: Final = frozenset(
    {"step", "loss", "lr", "grad_norm", "clips_per_s", "data_wait", "left_s", "memory_mb"}
)


def talk(n_steps: int, *, quiet: bool) -> Callable[[Mapping[str, Any]], None]:
    """What to call with each record of a run's log."""
    if quiet:
        return lambda _record: None
    live = sys.stderr.isatty()

    def say(record: Mapping[str, Any]) -> None:
        # steps replace each other on a terminal; validation, events and the last step stay
        if live and "loss" in record:
            tell(CLEAR_LINE + line_of(record, n_steps), end="")
            if record["step"] == n_steps:
                output.say("")
            return
        tell((CLEAR_LINE if live else "") + line_of(record, n_steps))

    return say


def line_of(record: Mapping[str, Any], n_steps: int) -> str:
    """A record as one line for a reader."""
    if "event" in record:
        facts = {name: value for name, value in record.items() if name != "event"}
        return f"{record['event']}: {_pairs(facts)}" if facts else str(record["event"])
    if "loss" not in record:
        scores = {name.removeprefix("val_"): v for name, v in record.items() if name != "step"}
        return f"step {record['step']}  validation: {_pairs(scores)}"
    parts = {name: value for name, value in record.items() if name not in SHOWN_APART}
    shown = [f"step {record['step']}/{n_steps}", f"loss {record['loss']:.4g}"]
    if parts:
        shown.append(f"({_pairs(parts)})")
    shown += [
        f"lr {record['lr']:.2g}",
        f"{record['clips_per_s']:g} clips/s",
        f"{record['data_wait']:.0%} data wait",
    ]
    if record.get("memory_mb") is not None:
        shown.append(f"{record['memory_mb']} MB")
    return "  ".join([*shown, f"{duration(record['left_s'])} left"])


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever reads best."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def run_dry(dry_run: Callable[..., dict[str, Any]], config: TrainConfig, *, as_json: bool) -> None:
    """Print what a dry run reports as it goes; as JSON, all of it at its end."""
    if as_json:
        sections = dry_run(config)
        if is_first():
            output.print_json(sections)
    else:
        dry_run(config, show=lambda part: print(dry_run_text(part), flush=True))


def close(report: TrainReport, *, as_json: bool) -> None:
    """Say how a run ended and print where its model is, from the first process."""
    if not is_first():  # one run, one report
        return
    if as_json:
        print(json.dumps(asdict(report), default=str))
        return
    output.say(summary(report))
    card = Card.read(report.export / CARD_FILE)
    output.say(f"exported in {card.precision}{'; ' if card.scores else ''}{card.scores}")
    print(report.export)


def summary(report: TrainReport) -> str:
    """How a run ended, in one line; only a classifier has a score that a reader can compare."""
    best = ""
    if report.n_labels:
        score = "none" if report.best_score is None else f"{report.best_score:.3f}"
        best = f", best validation mAP {score}"
    labels = f", {report.n_labels} labels" if report.n_labels else ""
    return (
        f"{report.steps} steps, {report.skipped_steps} skipped{best}; {report.n_parameters} "
        f"parameters{labels}"
    )


def dry_run_text(sections: Mapping[str, Mapping[str, Any]]) -> str:
    """Sections of a dry run, for a reader."""
    lines = []
    for section, values in sections.items():
        lines.append(section)
        width = max((len(name) for name in values), default=0)
        lines += [f"  {name.ljust(width)}  {_short(value)}" for name, value in values.items()]
    return "\n".join(lines)


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_short(value)}" for name, value in values.items())


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(map(_short, value)) or "none"
    if isinstance(value, dict):
        return _pairs(value) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)
