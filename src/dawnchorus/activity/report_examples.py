"""Examples of calls in a report: a picture of the sound, the sound, and where it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dawnchorus.activity.svg import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dawnchorus.activity.examples import Example


def examples_html(examples: Sequence[Example]) -> str:
    """Figures side by side; nothing where there are no examples."""
    if not examples:
        return ""
    figures = "".join(f"<figure>{_sound(one)}{_caption(one)}</figure>" for one in examples)
    return f'<div class="examples">{figures}</div>'


def _sound(example: Example) -> str:
    if example.sound is None:
        return f'<div class="silent">{plain(example.problem)}</div>'
    return (
        f'<div class="sound"><img alt="spectrogram of {plain(example.label)}" '
        f'src="{example.picture}">{_context(example)}'
        f'<em class="high">{example.highest_hz / 1000:g} kHz</em><em class="low">0</em>'
        f'<em class="len">{example.length_s:.1f} s</em></div>'
        f'<audio controls preload="none" src="{example.sound}"></audio>'
    )


def _context(example: Example) -> str:
    """Shades over what lies before and after the call."""
    before = 100 * example.lead_s / example.length_s
    stop_s = example.lead_s + (example.stop_s or example.start_s) - example.start_s
    after = 100 * max(0.0, 1 - stop_s / example.length_s) if example.stop_s else 0.0
    shades = f'<i style="left:0;width:{before:.1f}%"></i>' if before else ""
    return shades + (f'<i class="after" style="right:0;width:{after:.1f}%"></i>' if after else "")


def _caption(example: Example) -> str:
    when = (example.local_time or "").replace("T", " ")[:19]
    score = "" if example.probability is None else f", score {example.probability:.2f}"
    return (
        f"<figcaption><b>{plain(example.site)}</b>, {plain(when or 'time not known')}{score}<br>"
        f"{plain(example.path)} at {example.start_s:.1f} s</figcaption>"
    )
