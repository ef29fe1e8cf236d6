"""``dawnchorus label``: the subcommands, each in a file of its own."""

from __future__ import annotations

from dawnchorus.cli.label_density import density
from dawnchorus.cli.label_export import export
from dawnchorus.cli.label_import import import_
from dawnchorus.cli.label_judge import judge
from dawnchorus.cli.label_list import list_
from dawnchorus.cli.label_merge import merge
from dawnchorus.cli.label_round import round_
from dawnchorus.cli.label_suggest import suggest

subcommands = [import_, export, list_, merge, suggest, judge, round_, density]
