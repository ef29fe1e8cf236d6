"""`DawnChorusClassifier`: a calibrated probe as a scikit-learn classifier."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from dawnchorus.audio.decode.read import read_audio
from dawnchorus.configs import FitConfig, Readout
from dawnchorus.configs.readout import MEAN_OF_OUTPUT, OWN
from dawnchorus.embedding.encode import embed_clip
from dawnchorus.errors import DawnChorusWarning, DependencyError, TaskError, UsageError
from dawnchorus.models.encoder import readout_for
from dawnchorus.models.load import load_model
from dawnchorus.models.waveforms import as_waveforms
from dawnchorus.probes.calibration import logit
from dawnchorus.probes.choose_calibration import choose_calibration
from dawnchorus.probes.features import Features
from dawnchorus.probes.fit import fit_probe, without_choice
from dawnchorus.probes.fitted import EncoderMark
from dawnchorus.probes.held_out import cross_validated

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils.multiclass import check_classification_targets, type_of_target
    from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
except ImportError as error:
    raise DependencyError("scikit-learn", "probe", "DawnChorusClassifier") from error

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from dawnchorus.configs import LayerSelection, Pooling
    from dawnchorus.configs.readout import ReadoutLike
    from dawnchorus.models.encoder import Encoder

FEATURES = EncoderMark("features", None)  # of arrays that came from the user


class DawnChorusClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # no types
    """A probe on features, or on sound if an encoder is given.

    Features are standardised and hyper-parameters chosen by cross-validation; probabilities are
    calibrated on items held out, where there are enough of them. ``y`` holds one label an item, or
    is ``(items, classes)`` of 0 and 1. ``groups`` of `fit` says which items belong together.

    Attributes:
        classes_: labels, in the order of the columns; numbers of columns for several labels.
        probe_: the fitted `FittedProbe`, which can be saved.
    """

    def __init__(  # noqa: PLR0913  layers and pooling go after 0.2
        self,
        probe_type: str = "linear",
        *,
        strengths: tuple[float, ...] = (1e-3, 1e-2, 1e-1, 1.0),
        calibration: str = "auto",
        class_weights: str = "none",
        encoder: str | Path | Encoder | None = None,
        readout: ReadoutLike | None = None,
        seed: int = 0,
        layers: LayerSelection | None = None,
        pooling: Pooling | None = None,
    ) -> None:
        """Keep the choices; they are checked in `fit`, as scikit-learn wants it.

        Args:
            probe_type: ``linear``, ``mlp`` or ``knn``.
            strengths: values of C that a linear probe tries; scikit-learn's C.
            calibration: a method of `dawnchorus.probes.calibration`, ``auto`` or ``none``.
            class_weights: ``none`` or ``balanced``.
            encoder: a model's name, file or folder, or a loaded encoder: items are then paths of
                recordings, or waveforms at the encoder's rate. One that is longer than the window
                has one embedding, as `dawnchorus.embedding.pieces` says.
            readout: layers of the encoder and their pooling, such as ``5,11:bands``; None: its own.
            seed: of folds and fresh weights.
            layers: with ``pooling``, what was said until 0.2 in the place of ``readout``.
            pooling: of layers that name none.
        """
        self.probe_type = probe_type
        self.strengths = strengths
        self.calibration = calibration
        self.class_weights = class_weights
        self.encoder = encoder
        self.readout = readout
        self.seed = seed
        self.layers = layers
        self.pooling = pooling

    def fit(
        self,
        X: Any,  # noqa: N803  scikit-learn's name
        y: Any,
        groups: NDArray[np.generic] | None = None,
    ) -> Self:
        """Fit on ``(items, dim)`` features, or on sounds.

        Raises:
            ValueError: Features or labels are not what scikit-learn takes, or of one class.
        """
        x = self._features(X, y)
        truth, names, multi_label = self._labels(y)
        if len(x) != len(truth):
            raise ValueError(f"{len(x)} items and {len(truth)} labels")
        choices: dict[str, Any] = {
            "probe_type": self.probe_type, "class_weights": self.class_weights, "seed": self.seed,
        }  # fmt: skip  # checked by the config
        config = FitConfig(**choices, strengths=tuple(self.strengths), absent="lowest")
        # scikit-learn's checks fit on one item a class and one group: nothing is chosen then
        group = np.arange(len(x)) if groups is None else np.asarray(groups)
        train = Features(x=x, y=truth, group=group)
        mark = FEATURES if self.encoder is None else EncoderMark.of(self._loaded())
        self.probe_ = fit_probe(
            config if len(np.unique(group)) > 1 else without_choice(config),
            train,
            None,
            names,
            multi_label,
            encoder=mark,
            readout=self._readout(),
        )
        self._calibrate(config, train)
        return self

    def _calibrate(self, config: FitConfig, train: Features) -> None:
        try:
            held_out = cross_validated(config, self.probe_, train)
        except TaskError:
            return  # nothing to hold out: probabilities stay as they are
        choice = choose_calibration(
            held_out.logits,
            held_out.truth,
            held_out.group,
            multi_label=self.probe_.multi_label,
            method=self.calibration,  # type: ignore[arg-type]  # a word of the user, checked there
            seed=self.seed,
        )
        self.probe_.calibration = choice.calibration

    def predict_proba(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Probabilities ``(items, classes)``."""
        check_is_fitted(self)
        return self.probe_.probabilities(self._features(X))

    def decision_function(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Log-odds of the probabilities, ``(items, classes)``; of the second class if of two."""
        odds = logit(self.predict_proba(X), lowest=1e-15)
        # scikit-learn's form for two classes: one column, above 0 for the second
        is_binary = not self.probe_.multi_label and odds.shape[1] == 2
        return odds[:, 1] if is_binary else odds

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """The most probable label of each item, or ``(items, classes)`` of 0 and 1 from 0.5 on."""
        p = self.predict_proba(X)
        if self.probe_.multi_label:
            return (p >= 0.5).astype(np.int64)
        likeliest: NDArray[Any] = self.classes_[p.argmax(axis=1)]
        return likeliest

    def _labels(self, y: Any) -> tuple[NDArray[np.int64], list[str], bool]:
        check_classification_targets(y)
        if type_of_target(y).startswith("multilabel"):
            truth = np.asarray(y, np.int64)
            self.classes_ = np.arange(truth.shape[1])
            return truth, [str(k) for k in self.classes_], True
        # labels of any type, also equal ones after str(): a number keeps the probe's names apart
        self.classes_, code = np.unique(column_or_1d(y, warn=True), return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("this classifier needs 2 classes or more; the labels are of 1 class")
        truth = np.eye(len(self.classes_), dtype=np.int64)[code]
        return truth, [f"{k}: {name}" for k, name in enumerate(self.classes_)], False

    def _features(self, x: Any, y: Any = None) -> NDArray[np.float32]:
        if self.encoder is None:
            given = {} if y is None else {"y": y, "multi_output": True}
            checked = validate_data(self, x, dtype=np.float32, reset=y is not None, **given)
            features: NDArray[np.float32] = checked if y is None else checked[0]
            return features
        readout = self._readout()
        embedded = [self._embedded(n, sound, readout) for n, sound in enumerate(_each(x))]
        if not embedded:
            raise UsageError("X contains no sound; need one waveform or more")
        vectors = np.stack(embedded)  # (items, dim): one vector a recording, however long
        self.n_features_in_ = vectors.shape[1]
        return vectors

    def _loaded(self) -> Encoder:
        """The encoder; one that is named is loaded once."""
        if not isinstance(self.encoder, str | Path):
            given: Encoder = self.encoder  # type: ignore[assignment]  # called only where there is one
            return given
        # not set in __init__: scikit-learn's clone compares what that keeps with its arguments
        cached = vars(self).get("_encoder")
        if cached is None or cached[0] != self.encoder:
            self._encoder = (self.encoder, load_model(self.encoder))
        loaded: Encoder = self._encoder[1]
        return loaded

    def _readout(self) -> Readout:
        """The user's readout; default: the encoder's own. Features of the user have none."""
        if self.encoder is None:
            return MEAN_OF_OUTPUT
        readout = self.readout
        if self.layers or self.pooling:
            readout = Readout.parse(self.layers or OWN, self.pooling)
            text = f"layers and pooling: one option says both now: readout={str(readout)!r}"
            warnings.warn(DawnChorusWarning(text), stacklevel=3)
        return readout_for(self._loaded(), readout)

    def _embedded(self, number: int, sound: Any, readout: Readout) -> NDArray[np.float32]:
        """One vector of a recording or waveform, by the rule of `dawnchorus.embedding.pieces`."""
        encoder = self._loaded()
        if isinstance(sound, str | Path):
            samples = read_audio(sound, sample_rate=encoder.sample_rate)
        else:
            clips = as_waveforms(sound, what=f"item {number}")
            if len(clips) != 1:
                raise UsageError(f"item {number}: {len(clips)} channels or clips; need one, mixed")
            samples = clips[0].detach().float().cpu().numpy()
        return embed_clip(encoder, samples, readout)

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn's checks may ask of it."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


def _each(sounds: Iterable[Any]) -> Iterable[Any]:
    if isinstance(sounds, str | Path):
        raise ValueError("need a list of recordings or waveforms, got one path")
    return sounds
