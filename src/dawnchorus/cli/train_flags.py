"""The flags of ``pretrain`` and ``posttrain``, which start and end a run alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dawnchorus.cli import options
from dawnchorus.cli.flag_record import OutputFlags

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dawnchorus.configs import TrainConfig
    from dawnchorus.training.run import TrainReport


@dataclass(frozen=True, kw_only=True)
class TrainFlags(OutputFlags):
    """What both have in common."""

    data: options.Data = None
    init_from: options.InitFrom = None
    name: options.RunName = None
    steps: options.Steps = None
    extend: options.Extend = False
    runs: options.Runs = Path("runs")
    device: options.Device = None
    devices: options.Devices = None
    dry_run: options.DryRun = False

    def over(self, recipe: Mapping[str, Any]) -> dict[str, Any]:
        """A recipe's keys, replaced by what the command line gave."""
        flags = options.given(
            init_from=self.init_from,
            name=self.name,
            steps=self.steps,
            device=self.device,
            devices=self.devices,
        )
        values = {**recipe, **flags}
        if self.data is not None:
            values["data"] = {**values.get("data", {}), "root": str(self.data)}
        return values

    def run(
        self,
        config: TrainConfig,
        train: Callable[..., TrainReport],
        dry_run: Callable[..., dict[str, Any]],
    ) -> int:
        """Train, or say what training would take; both talk and report as the flags say."""
        from dawnchorus.cli import train_output

        if self.dry_run:
            train_output.run_dry(dry_run, config, as_json=self.as_json)
            return 0
        say = train_output.talk(config.steps, quiet=self.quiet)
        report = train(config, runs=self.runs, extend=self.extend, say=say)
        train_output.close(report, as_json=self.as_json)
        return 0
