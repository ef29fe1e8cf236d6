"""``dawnchorus label``: the subcommands, each in a file of its own."""

from __future__ import annotations

from dawnchorus.cli.label_density import density

subcommands = [density]
