"""The teachers of a run of post-training: what they say of each batch, and what is kept of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.errors import TrainingError, UsageError
from dawnchorus.objectives.distil import (
    LEAST_STD,
    Distillation,
    RunningMoments,
    TeacherOutputs,
    TeacherSpec,
)
from dawnchorus.recipes.live_teacher import TABLE, check_finite
from dawnchorus.training import devices

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from torch import Tensor

    from dawnchorus.configs import PosttrainConfig
    from dawnchorus.feed.batches import Batch
    from dawnchorus.recipes.training_data import TrainingData
    from dawnchorus.training.run import RunFolder

FIRST_CLIPS: Final = 128  # heard before the first step, so that its targets are standardised too
CHECK_EVERY: Final = 20  # steps on a GPU, where looking at a number means waiting for it

Said = dict[str, TeacherOutputs]


class Teaching:
    """What the teachers of a run say; without any, nothing."""

    def __init__(
        self, config: PosttrainConfig, data: TrainingData, run: RunFolder | None = None
    ) -> None:
        """Check that the teachers are those that the run began with.

        Args:
            config: the run's.
            data: the run's, with its teachers.
            run: its folder; None in a dry run.

        Raises:
            UsageError: A teacher is the run itself, or another one than before.
        """
        self.data = data
        self.table = next((one for one in config.teacher if one.table is not None), None)
        self._begun = False
        self._of_validation: dict[int, Said] = {}
        if run is not None:
            for one in config.teacher:
                _refuse_own_run(one.model, run)
            _refuse_others(data, run)

    @property
    def specs(self) -> list[TeacherSpec]:
        """What the student must know of each teacher."""
        specs = [teacher.spec for teacher in self.data.teachers]
        stored = self.data.source.teacher
        if self.table is None or stored is None:
            return specs
        logits = 1.0 if self.table.logits_weight is None else self.table.logits_weight
        return [
            *specs,
            TeacherSpec(
                name=self.table.name or TABLE,
                dim=stored.dim,
                n_logits=stored.n_logits,
                embedding_weight=self.table.weight * self.table.embedding_weight,
                logits_weight=self.table.weight * logits,
                is_standardised=True,
            ),
        ]

    @property
    def names(self) -> str:
        """The teachers, for a card; empty without any."""
        models = [str(teacher.config.model) for teacher in self.data.teachers]
        return ", ".join(models + ([str(self.table.table)] if self.table else []))

    def hear(self, batch: Batch, waveforms: Tensor) -> Said:
        """What each teacher says of a part of a batch.

        Args:
            batch: the part.
            waveforms: its own, on the student's device.

        Raises:
            TrainingError: An output is not finite.
        """
        said: Said = {}
        for teacher in self.data.teachers:
            # plain tensors again: those of inference mode cannot be kept for a backward pass
            heard = teacher.hear(waveforms, batch.lengths, self.data.source.sounds.sample_rate)
            said[teacher.name] = TeacherOutputs(
                embedding=heard.embedding.clone(),
                logits=None if heard.logits is None else heard.logits.clone(),
            )
            if waveforms.device.type == "cpu" or batch.step % CHECK_EVERY == 0:
                check_finite(said[teacher.name], teacher.name, batch.ids)
        return {**said, **self._stored(batch, waveforms.device)}

    def hear_for_training(
        self, batch: Batch, waveforms: Tensor, distillation: Distillation
    ) -> Said:
        """As `hear`; what it says counts in the moments, which the first batches give."""
        if not self._begun:
            self._begin(distillation, waveforms.device)
            self._begun = True
        said = self.hear(batch, waveforms)
        for name, moments in distillation.moments().items():
            moments.put_aside(said[name].embedding, batch.step)
        return said

    def hear_for_validation(self, batch: Batch, waveforms: Tensor, first: int) -> Said:
        """As `hear`, once for each batch: every validation has the same; ``first``: its clip."""
        if first not in self._of_validation:
            self._of_validation[first] = self.hear(batch, waveforms)
        return self._of_validation[first]

    def after_step(self, distillation: Distillation) -> None:
        """Take what was heard in this step into the moments, in all processes alike."""
        for moments in distillation.moments().values():
            moments.take_in(devices.mean_over_processes, devices.n_processes())

    def _begin(self, distillation: Distillation, device: torch.device) -> None:
        """Moments of the first few batches, the same in every process; a resumed run has its own.

        Raises:
            TrainingError: A teacher says the same of every sound.
        """
        fresh = {n: m for n, m in distillation.moments().items() if not float(m.n_rows)}
        step = n_clips = 0
        while fresh and n_clips < FIRST_CLIPS:
            batch = self.data.source.draw(step)
            said = self.hear(batch, batch.waveforms.to(device))
            for name, moments in fresh.items():
                moments.put_aside(said[name].embedding, step)
                moments.take_in()
            step, n_clips = step + 1, n_clips + len(batch.ids)
        for name, moments in fresh.items():
            _refuse_constant(name, moments)

    def _stored(self, batch: Batch, device: torch.device) -> Said:
        if self.table is None or batch.teacher_embedding is None or batch.teacher_logits is None:
            return {}
        said = TeacherOutputs(
            embedding=batch.teacher_embedding.to(device),
            logits=batch.teacher_logits.to(device),
            there=batch.has_teacher.to(device),
        )
        return {self.table.name or TABLE: said}


def _refuse_constant(name: str, moments: RunningMoments) -> None:
    if float(moments.variance.sqrt().max()) <= LEAST_STD:
        raise TrainingError(
            f"teacher {name}: gives the same embedding for each of the first "
            f"{int(moments.n_rows)} clips; check the model with `dawnchorus verify`, or choose "
            "another readout"
        )


def _refuse_own_run(model: str | None, run: RunFolder) -> None:
    """A run that learns from what it leaves itself has another teacher each time it resumes."""
    if model is None or "://" in model:
        return
    place, own = Path(model).resolve(), run.path.resolve()
    if place == own or own in place.parents:
        raise UsageError(
            f"teacher: {model} is the folder of this run, {run.path}; a run cannot teach itself: "
            "give this one another name, or choose another teacher"
        )


def _refuse_others(data: TrainingData, run: RunFolder) -> None:
    begun = [record for record in run.records() if record.get("event") == "data"]
    before: Mapping[str, Any] = begun[0].get("teachers", {}) if begun else {}
    now = data.facts.get("teachers", {})
    if not any(run.checkpoints.glob("step-*")):
        return
    for name, facts in now.items():
        old = before.get(name, facts)
        changed = [key for key in facts if key in old and old[key] != facts[key]]
        if changed:
            key = changed[0]
            raise UsageError(
                f"{run.path}: teacher {name} is not the one that this run began with: {key} was "
                f"{old[key]}, now {facts[key]}; put it back, or give the run another name"
            )
