"""Cores are counted as the system grants them, and several workers give what one gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dawnchorus.configs import EmbedConfig
from dawnchorus.engine.encoding.batches import BatchEncoder
from dawnchorus.engine.encoding.workers import n_workers, one_core_each, replicas
from dawnchorus.errors import DeviceError, UsageError
from dawnchorus.machine import n_cores
from dawnchorus.models.eat import EAT


def test_more_workers_than_cores_could_serve_are_refused(tiny_encoder: EAT) -> None:
    assert n_workers(tiny_encoder, 16) == 16
    with pytest.raises(UsageError, match=r"workers 100000: .* cores; need 1 to \d+"):
        n_workers(tiny_encoder, 100_000)


def test_replicas_share_weights_and_not_hooks(tiny_encoder: EAT) -> None:
    first, second = replicas(tiny_encoder, 2)
    assert first is tiny_encoder
    assert isinstance(second, EAT)
    assert second.cls_token.data_ptr() == tiny_encoder.cls_token.data_ptr()
    assert second.blocks[0] is not tiny_encoder.blocks[0]
    waveforms = 0.1 * torch.randn(2, 16_000, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode(), tiny_encoder._capture({"blocks.0"}) as seen:
        second.encode(waveforms)
    assert not seen


def test_only_our_models_on_a_cpu_get_several_workers(tiny_encoder: EAT) -> None:
    assert n_workers(tiny_encoder, 3) == 3
    assert n_workers(tiny_encoder, None) == n_cores()

    class Foreign:
        name = "foreign"

    assert n_workers(Foreign(), 3) == 1  # type: ignore[arg-type]  # no method is called


def test_the_number_of_threads_comes_back() -> None:
    before = torch.get_num_threads()
    with one_core_each(2):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


class Small(EAT):
    """A model whose device holds so many windows."""

    holds = 4

    def features(
        self, waveforms: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Refuse more than that."""
        if len(waveforms) > self.holds:
            raise torch.OutOfMemoryError("tried to allocate 2 GiB")
        return super().features(waveforms, lengths)


def sounds(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return 0.1 * torch.randn(count, 16_000, generator=generator), torch.full((count,), 16_000)


def test_out_of_memory_halves_the_batch_until_it_fits_and_says_so(tiny_encoder: EAT) -> None:
    model = Small(tiny_encoder.config, name="small", labels=tiny_encoder.labels).eval()
    model.load_state_dict(tiny_encoder.state_dict())
    small, large = BatchEncoder(model), BatchEncoder(tiny_encoder)
    waveforms, lengths = sounds(7)
    np.testing.assert_allclose(
        small.vectors(waveforms, lengths), large.vectors(waveforms, lengths), atol=1e-5
    )
    assert small.notes == ["out of memory with 7 windows at once: continued with 3"]
    small.vectors(waveforms, lengths)
    assert len(small.notes) == 1
    model.holds = 1
    np.testing.assert_allclose(
        small.vectors(waveforms, lengths), large.vectors(waveforms, lengths), atol=1e-5
    )
    assert small.notes[1:] == ["out of memory with 3 windows at once: continued with 1"]


def test_one_window_that_does_not_fit_is_an_error(tiny_encoder: EAT) -> None:
    model = Small(tiny_encoder.config, name="small", labels=tiny_encoder.labels).eval()
    model.holds = 0
    with pytest.raises(DeviceError, match="not even 1 window fits into the memory of cpu"):
        BatchEncoder(model).vectors(*sounds(1))


def test_the_default_leaves_size_and_workers_to_the_machine() -> None:
    assert EmbedConfig().batch_size is None
    assert EmbedConfig().workers is None
