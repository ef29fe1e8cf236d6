"""Every head on every joining: saved as it was, the same item by item, from sound and from store.

A new head joins by its name in `ProbeType`, a new joining by a line in `JOININGS`.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

from dawnchorus.configs import FinetuneConfig, FitConfig, ProbeConfig, Readout
from dawnchorus.configs.probes import TOKEN_PROBES, ProbeType
from dawnchorus.errors import DawnChorusWarning, UsageError
from dawnchorus.models.eat import EAT
from dawnchorus.probes.build import Probe, build_probe_from_config
from dawnchorus.probes.features import FeatureKind, Features, read_features
from dawnchorus.probes.finetune import fit_online, save_online
from dawnchorus.probes.fit import fit_probe
from dawnchorus.probes.fitted import EncoderMark, FittedProbe

HEADS: tuple[str, ...] = get_args(ProbeType)
TRAINED = tuple(head for head in HEADS if head != "knn")
# features of an item, without and with the axis of layers
SHAPES: dict[FeatureKind, tuple[int, ...]] = {
    "vectors": (8,), "layers": (3, 8), "tokens": (5, 8), "layer_tokens": (3, 5, 8),
}  # fmt: skip
NAMES = ("ant", "bee", "cow")
# design, aggregation, layers
JOININGS: dict[str, dict[str, Any]] = {
    "one pooled": {"aggregation": "mean", "target_layers": ["last_layer"]},
    "output": {"aggregation": "cls_token", "target_layers": ["output"]},
    "side by side": {"aggregation": "max", "target_layers": ["all"]},
    "tokens": {"aggregation": "none", "target_layers": ["output"]},
    "tokens weighed": {"aggregation": "none", "target_layers": ["all"]},
    "ours": {"design": "dawnchorus", "target_layers": ["all"]},
}


def fits(head: str, kind: FeatureKind) -> bool:
    """Whether a head reads features of this kind."""
    return (kind in {"tokens", "layer_tokens"}) == (head in TOKEN_PROBES) and not (
        head == "knn" and kind == "layers"
    )


def features(kind: FeatureKind, n: int = 18, seed: int = 0) -> Features:
    rng = np.random.default_rng(seed)
    y = np.eye(3)[np.arange(n) % 3]
    x = rng.normal(size=(n, *SHAPES[kind]))
    x[..., :3] += 1.5 * y.reshape(n, *[1] * (x.ndim - 2), 3)
    return Features(x.astype(np.float32), y)


def fitted(head: str, kind: FeatureKind) -> FittedProbe:
    config = FitConfig(
        probe_type=head, attention_dim=8, num_heads=2, lstm_hidden_size=4, hidden_dims=(8,),
        n_prototypes=2, strengths=(0.1,), neighbours=(3,), schedule={"n_epochs": 1},
    )  # fmt: skip
    train, validation = features(kind), features(kind, seed=1)
    mark = EncoderMark("toy", "0" * 64)
    return fit_probe(
        config, train, validation, NAMES, multi_label=False, encoder=mark, readout=("0", "1", "2")
    )


PAIRS = [(head, kind) for head in HEADS for kind in SHAPES if fits(head, kind)]


@pytest.mark.parametrize(("head", "kind"), PAIRS)
def test_a_probe_is_loaded_as_it_was_saved(head: str, kind: FeatureKind, tmp_path: Path) -> None:
    probe = fitted(head, kind)
    probe.save(tmp_path / "p")
    again = FittedProbe.load(tmp_path / "p")
    x = features(kind, seed=2).x
    assert np.array_equal(again.probabilities(x), probe.probabilities(x))
    assert (again.kind, again.config, again.notes) == (kind, probe.config, probe.notes)


@pytest.mark.parametrize(("head", "kind"), PAIRS)
def test_an_item_alone_scores_as_in_a_batch_in_any_order(head: str, kind: FeatureKind) -> None:
    probe, x = fitted(head, kind), features(kind, seed=2).x
    together = probe.logits(x)
    alone = np.concatenate([probe.logits(item[None]) for item in x])
    np.testing.assert_allclose(alone, together, atol=1e-5)
    np.testing.assert_allclose(probe.logits(x[::-1]), together[::-1], atol=1e-5)


@pytest.mark.parametrize(("head", "kind"), [p for p in PAIRS if p[1] in {"tokens", "layer_tokens"}])
def test_padding_and_the_number_of_tokens_do_not_change_a_score(
    head: str, kind: FeatureKind
) -> None:
    probe, x = fitted(head, kind), features(kind, seed=2).x
    padding = np.full((*x.shape[:-2], 2, x.shape[-1]), 7.0, np.float32)
    padded = np.concatenate([x, padding], axis=-2)
    keep = np.arange(7) < 5
    scores = probe.logits(padded, np.tile(keep, (len(x), 1)))
    np.testing.assert_allclose(scores, probe.logits(x), atol=1e-4)


REFUSED = [
    *((head, "vectors") for head in sorted(TOKEN_PROBES)),
    *((head, "layer_tokens") for head in ("linear", "mlp")),
    *(("knn", kind) for kind in ("layers", "tokens", "layer_tokens")),
]


@pytest.mark.parametrize(("head", "kind"), REFUSED)
def test_features_of_a_kind_that_a_head_cannot_read_are_refused(
    head: str, kind: FeatureKind
) -> None:
    with pytest.raises(UsageError, match="reads features"):
        fitted(head, kind)


def built(head: str, joining: str, encoder: EAT, **more: Any) -> Probe:
    torch.manual_seed(1)
    values = {"probe_type": head, "num_heads": 1, "n_prototypes": 2, **JOININGS[joining], **more}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a vector read number by number, as released
        config = ProbeConfig(**values)
        return build_probe_from_config(config, 3, "cpu", encoder).eval()


def can_be_built(head: str, joining: str) -> bool:
    """Our own heads are strict about what they read; released ones take anything."""
    is_pooled = JOININGS[joining].get("aggregation") != "none"
    return not (head == "prototype" and is_pooled and joining != "ours")


BUILT = [(h, j) for h in TRAINED for j in JOININGS if can_be_built(h, j)]


@pytest.mark.parametrize(("head", "joining"), BUILT)
def test_stored_features_give_the_logits_of_the_waveforms(
    head: str, joining: str, tiny_encoder: EAT
) -> None:
    probe = built(head, joining, tiny_encoder)
    sound = torch.randn(3, 16_000, generator=torch.Generator().manual_seed(2))
    offline = built(head, joining, tiny_encoder, online_training=False)
    offline.load_state_dict(probe.state_dict())
    with torch.inference_mode():
        stored = probe.features(sound)
        torch.testing.assert_close(offline(stored), probe(sound), rtol=1e-4, atol=1e-4)
        alone = torch.cat([probe(one[None]) for one in sound])
        torch.testing.assert_close(alone, probe(sound), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("head", "joining"), BUILT)
def test_a_probe_on_waveforms_is_saved_as_one_on_features_or_says_why_not(
    head: str, joining: str, tiny_encoder: EAT, tmp_path: Path
) -> None:
    probe = built(head, joining, tiny_encoder)
    sound = torch.randn(3, 16_000, generator=torch.Generator().manual_seed(2))
    if probe.joining.n_tokens is not None or probe.joining.reads_numbers:
        with pytest.raises(UsageError, match="no store holds"):
            save_online(probe, tmp_path / "p", NAMES, multi_label=True)
        return
    save_online(probe, tmp_path / "p", NAMES, multi_label=True, notes={"window_s": 1.0, "by": "me"})
    saved = FittedProbe.load(tmp_path / "p")
    with torch.inference_mode():
        out = tiny_encoder.encode(sound, layers=saved.layers)
        expected = probe(sound).double().numpy()
    if probe.config.aggregation in {"none", "cls_token"}:  # mean and max of ours leave padding out
        np.testing.assert_allclose(saved.logits(*saved.read(out)), expected, atol=1e-4)
    assert saved.notes.to_json() == {"window_s": 1.0, "by": "me"}
    saved.check(tiny_encoder)


@pytest.mark.parametrize("kind", SHAPES)
def test_what_is_read_of_an_encoder_has_the_shape_that_its_probe_takes(
    kind: FeatureKind, tiny_encoder: EAT
) -> None:
    layers = [0, 1] if kind in {"layers", "layer_tokens"} else [1]
    with torch.inference_mode():
        out = tiny_encoder.encode(torch.randn(2, 16_000), layers=layers)

    x, keep = read_features(out, Readout.parse(layers, "mean"), kind)
    assert x.ndim == 1 + len(SHAPES[kind])
    assert x.shape[-1] == tiny_encoder.dim
    assert (keep is None) == (kind in {"vectors", "layers"})


def test_the_old_name_of_on_epoch_is_called_with_a_warning(tiny_encoder: EAT) -> None:
    probe = built("linear", "one pooled", tiny_encoder)
    batch = (torch.randn(3, 16_000), torch.eye(3))
    epochs: list[int] = []
    with pytest.warns(DawnChorusWarning, match="told is now called on_epoch"):
        fit_online(
            probe, [batch], [batch], FinetuneConfig(n_epochs=2), multi_label=False,
            told=lambda epoch, _score: epochs.append(epoch),
        )  # fmt: skip
    assert epochs == [0, 1]
