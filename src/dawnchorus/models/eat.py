"""EAT (efficient audio transformer) with the frontend it was trained on.

Four sizes, one forward pass. The model knows its own normalisation and labels, but no files:
weights come through ``load``. Source: Chen et al., EAT, IJCAI 2024, and the released code where
they differ.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn

from dawnchorus.audio import frontend
from dawnchorus.errors import UsageError, WeightsError
from dawnchorus.labels import LabelMapping
from dawnchorus.models.eat_config import N_BAND_STEPS, STEP_S, EATConfig
from dawnchorus.models.encoder import EncoderFacts, EncoderOutput, masked_mean, readout_for
from dawnchorus.models.pretrained import Pretrained
from dawnchorus.models.waveforms import as_lengths, as_waveforms
from dawnchorus.nn.blocks import NORM_EPS, Block
from dawnchorus.nn.patches import PATCH, PatchEmbed
from dawnchorus.nn.positions import sincos_positions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch.utils.hooks import RemovableHandle

    from dawnchorus.models.card import Card

__all__ = ["EAT", "EATConfig"]

INIT_STD: Final = 0.02  # of the linear layers, as in the released code


class Head(nn.Module):
    """Classifier on the pooled tokens: an optional norm, then one linear layer."""

    def __init__(self, dim: int, n_classes: int, norm_eps: float | None = None) -> None:
        """``norm_eps``: eps of the norm, None for no norm."""
        super().__init__()
        self.norm = nn.Identity() if norm_eps is None else nn.LayerNorm(dim, eps=norm_eps)
        self.linear = nn.Linear(dim, n_classes)

    def forward(self, pooled: Tensor) -> Tensor:
        """``(batch, dim)`` to logits ``(batch, classes)``."""
        logits: Tensor = self.linear(self.norm(pooled))
        return logits


class EAT(Pretrained, nn.Module):
    """Waveforms in, tokens or logits out.

    Calling the model is the released library's interface: ``(batch, samples)`` at 16 kHz gives
    logits ``(batch, classes)``, or all tokens ``(batch, tokens, dim)`` without a head or with
    ``return_features_only``. ``encode`` gives everything there is, named.
    """

    def __init__(
        self,
        config: EATConfig,
        *,
        name: str = "eat",
        labels: Sequence[str] | None = None,
        return_features_only: bool = False,
        initialise: bool = True,
    ) -> None:
        """Make a model with fresh weights, or with none when ``initialise`` is False.

        Raises:
            UsageError: The number of labels is not the number of classes.
        """
        super().__init__()
        if labels is not None and len(labels) != config.n_classes:
            raise UsageError(f"{name}: {len(labels)} labels for {config.n_classes} classes")
        self.config = config
        self.name = name
        self.labels = None if labels is None else list(labels)
        self.return_features_only = return_features_only
        self.sample_rate = frontend.SAMPLE_RATE
        self.window_s = config.window_s
        self.weights_sha256: str | None = None  # of the file that filled it
        self.licence: str | None = None
        self.card: Card | None = None  # that came with the weights
        self.no_logits: str | None = None  # why a classifier in the weights is not used
        self.dim = config.dim
        self.n_layers = config.n_layers
        self.cls_token = nn.Parameter(torch.randn(1, 1, config.dim))
        self.patch_embed = PatchEmbed(config.dim)
        self.register_buffer(
            "positions",
            sincos_positions(config.dim, config.max_time_steps, N_BAND_STEPS),
            persistent=config.stored_positions,
        )
        self.positions: Tensor
        self.pre_norm = nn.LayerNorm(config.dim, eps=NORM_EPS)
        self.blocks = nn.ModuleList(
            Block(config.dim, config.n_heads, config.mlp_ratio) for _ in range(config.n_layers)
        )
        self.head = None
        # before the head is made: `_initialise` walks over all linear layers, and the released
        # code leaves the head at torch's default
        if initialise:
            self._initialise()
        if config.n_classes:
            self.head = Head(config.dim, config.n_classes, config.head_norm_eps)

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=INIT_STD)
                nn.init.zeros_(module.bias)
        # as the linear layer from 256 numbers that a patch embedding is: (dim, 1 x 16 x 16)
        kernel = self.patch_embed.proj.weight
        nn.init.xavier_uniform_(kernel.data.view(kernel.shape[0], -1))

    @property
    def facts(self) -> EncoderFacts:
        """What others may rely on; see `EncoderFacts`."""
        config = self.config
        return EncoderFacts(
            readout=config.readout,
            settings=config.model_dump(mode="json"),
            normalization=config.normalization,
            copies_share_weights=True,
            # the mean over all tokens counts padding, where there is any
            logits_ignore_padding=config.head_pooling in {"valid", "cls"},
            pads_to_window=config.padded_frames is not None,
            paper_reads_cls=True,
        )

    @property
    def label_mapping(self) -> LabelMapping | None:
        """Labels both ways, as code for the released library reads them; None without labels."""
        return None if self.labels is None else LabelMapping(self.labels)

    @property
    def max_samples(self) -> int:
        """Longest window, in samples: one more would add a frame without a position."""
        frames = self.config.padded_frames or self.config.max_time_steps * PATCH
        return frontend.FRAME_SAMPLES + frames * frontend.FRAME_HOP_SAMPLES - 1

    def train_positions(self) -> None:
        """Make the position table a parameter, as stage 2 of the released post-training had it."""
        table = self.positions
        del self.positions
        self.positions = nn.Parameter(table.clone())

    def forward(self, waveforms: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Logits ``(batch, classes)``, or tokens without a head or with ``return_features_only``.

        Args:
            waveforms: ``(batch, samples)`` at 16 kHz, or ``(samples,)`` for a batch of one; a
                tensor, an array or a list. Integers are divided by their full scale.
            padding_mask: accepted and not used, as in the released library; ``encode`` has
                ``lengths``.

        Raises:
            UsageError: The input is longer than the model can take (nothing is ever cut silently),
                is not sound, or holds NaN.
            WeightsError: The weights hold a classifier whose labels are missing or do not fit.
        """
        del padding_mask
        if self.no_logits is not None and not self.return_features_only:
            raise WeightsError(f"{self.name}: no logits: {self.no_logits}")
        features, n_frames = self.features(*self._checked(waveforms, None))
        tokens, has_signal = self.tokens(features, n_frames)
        if self.return_features_only:
            return tokens
        logits = self._logits(tokens, has_signal)
        return tokens if logits is None else logits

    def encode(
        self,
        waveforms: Tensor,
        lengths: Tensor | None = None,
        layers: Sequence[int | str] | None = None,
    ) -> EncoderOutput:
        """Encode windows; see :class:`dawnchorus.models.encoder.Encoder`.

        Args:
            waveforms: as for calling the model.
            lengths: ``(batch,)`` samples that hold sound, None: all; a list or array will do.
            layers: block indices for block outputs, names of modules such as
                ``blocks.11.attn.proj`` (a leading ``backbone.model.`` is allowed), or
                ``last_layer`` and ``all`` with the released library's meaning, which is the
                attention projections.

        Raises:
            UsageError: The input is too long, too short, no sound or not finite, lengths do not
                belong to it, or a layer does not exist.
        """
        features, n_frames = self.features(*self._checked(waveforms, lengths))
        return self.encode_features(features, n_frames, layers)

    def embed(self, waveforms: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The model's own embedding of each window, ``(batch, width)``, as stores hold it.

        Arguments and errors as for ``encode``.
        """
        readout = readout_for(self)
        return readout.pool(self.encode(waveforms, lengths, readout.layers))

    def _checked(self, waveforms: object, lengths: object) -> tuple[Tensor, Tensor | None]:
        """What a user gave, as `as_waveforms` and `as_lengths` let it in."""
        checked = as_waveforms(waveforms, what=f"{self.name}: waveforms")
        return checked, as_lengths(lengths, checked, what=f"{self.name}: lengths")

    def features(self, waveforms: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Normalised log-mel ``(batch, frames, 128)``, and how many frames of each hold sound.

        The latter lie where ``lengths`` do; leave those on the host, and no GPU is waited for.
        Loops over recordings and training steps come in here with sound that is known to be
        finite: looking at every sample again would make a GPU wait. Users call the model,
        ``encode`` or ``embed``, which look.

        Raises:
            UsageError: The input is too long or too short, or not of floating-point numbers.
        """
        if not waveforms.is_floating_point():
            raise UsageError(f"{self.name}: features of {waveforms.dtype}; need float32")
        if waveforms.ndim == 2 and waveforms.shape[1] > self.max_samples:
            raise UsageError(self._too_long(waveforms.shape[1]))
        # in float32 whatever the weights' precision: a bfloat16 log-mel would be off by 0.03
        energies = frontend.log_mel(waveforms.to(self.cls_token.device).float(), lengths)
        if lengths is None:
            lengths = torch.full((len(waveforms),), waveforms.shape[1])
        # frames that begin and end in sound; + 1 below: the first frame needs no hop. They stay
        # where the lengths lie: numbers of the host can be looked at without waiting for a GPU
        last_frame = torch.div(
            lengths - frontend.FRAME_SAMPLES, frontend.FRAME_HOP_SAMPLES, rounding_mode="floor"
        )
        target = self.config.padded_frames or -(-energies.shape[1] // PATCH) * PATCH
        energies = frontend.fit_frames(energies, target)
        if self.config.normalization == "per_clip":
            return frontend.normalise_per_clip(energies), last_frame + 1
        return frontend.normalise(energies, *self.config.normalization), last_frame + 1

    def _too_long(self, n_samples: int) -> str:
        rate = self.sample_rate
        return (
            f"{self.name}: the input has {n_samples} samples ({n_samples / rate:.3f} s at {rate} "
            f"Hz), the model takes at most {self.max_samples} ({self.max_samples / rate:.3f} s); "
            "cut it into windows with dawnchorus.embed() for files, "
            "dawnchorus.audio.windows.cut() for arrays"
        )

    def tokens(
        self,
        features: Tensor,
        n_frames: Tensor | None = None,
        *,
        patches: Tensor | None = None,
        branches: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Run the encoder on normalised features.

        Args:
            features: ``(batch, frames, 128)``, any number of frames that the position table holds.
            n_frames: ``(batch,)`` frames that hold sound, None: all.
            patches: ``(batch, kept)`` indices of the patches to see, for training; None: all.
            branches: ``(blocks, 2, batch)``, what each clip's attention and MLP count in each
                block (drop path), for training; None: 1.

        Returns:
            Tokens ``(batch, 1 + patches, dim)`` float32, and ``(batch, 1 + patches)`` bool: holds
            sound.
        """
        sequence, has_signal = self._embed(features, n_frames, patches)
        keep = has_signal if self._needs_mask(n_frames, features.shape[1] // PATCH) else None
        for number, block in enumerate(self.blocks):
            kept = None if branches is None else branches[number]
            sequence = block(sequence, keep, kept)
        return sequence.float(), has_signal

    def _needs_mask(self, n_frames: Tensor | None, n_steps: int) -> bool:
        """Whether a clip ends before the last time step; its padding must then not be looked at.

        An all-True mask would only keep torch from its fastest kernel. Asked of ``n_frames``, not
        of a mask on the device: a GPU would be waited for in every batch.
        """
        if self.config.padded_frames is not None or n_frames is None:
            return False
        return bool((n_frames <= (n_steps - 1) * PATCH).any())

    def _embed(
        self, features: Tensor, n_frames: Tensor | None, patches: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        grid = self.patch_tokens(features)
        holds_sound = steps_with_signal(features, n_frames, features.shape[1] // PATCH)
        if patches is not None:
            grid = grid.gather(1, patches[..., None].expand(-1, -1, self.dim))
            holds_sound = holds_sound.gather(1, patches)
        return self.with_cls(grid), torch.cat(
            [holds_sound.new_ones(len(holds_sound), 1), holds_sound], dim=1
        )

    def patch_tokens(self, features: Tensor) -> Tensor:
        """Patches of normalised features with their positions, ``(batch, patches, dim)``.

        Raises:
            UsageError: There are too few frames for a patch, or more than the table holds.
        """
        n_steps = features.shape[1] // PATCH
        if not 0 < n_steps <= self.config.max_time_steps:
            raise UsageError(
                f"{self.name}: {features.shape[1]} frames make {n_steps} time steps of {PATCH}; "
                f"need 1 to {self.config.max_time_steps}"
            )
        # (batch, patches, dim), in the precision of the weights
        grid: Tensor = self.patch_embed(features.to(self.patch_embed.proj.weight.dtype))
        return grid + self.positions[:, : grid.shape[1]].to(grid.dtype)

    def with_cls(self, patches: Tensor) -> Tensor:
        """Input of the first block, ``(batch, 1 + patches, dim)``: CLS in front, all normalised."""
        sequence = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1)
        out: Tensor = self.pre_norm(sequence)
        return out

    def encode_features(
        self,
        features: Tensor,
        n_frames: Tensor | None = None,
        layers: Sequence[int | str] | None = None,
    ) -> EncoderOutput:
        """`encode` from normalised log-mel on; arguments as in `tokens`."""
        wanted = self._layer_names(layers or ())
        with self._capture(set(wanted.values())) as captured:
            tokens, has_signal = self.tokens(features, n_frames)
        found = {layer: captured[name] for layer, name in wanted.items()}
        return self.output_of(tokens, has_signal, found)

    def output_of(
        self, tokens: Tensor, has_signal: Tensor, layers: Mapping[int | str, Tensor]
    ) -> EncoderOutput:
        """What `encode` gives, from tokens ``(batch, 1 + patches, dim)``, wherever computed."""
        time_span_s, band_span = _token_spans((tokens.shape[1] - 1) // N_BAND_STEPS)
        return EncoderOutput(
            tokens=tokens,
            layers=layers,
            time_span_s=time_span_s,
            band_span=band_span,
            has_signal=has_signal,
            logits=self._logits(tokens, has_signal),
            padding_counts=self.config.padded_frames is not None,
        )

    def _logits(self, tokens: Tensor, has_signal: Tensor) -> Tensor | None:
        if self.head is None:
            return None
        pooled = self.pool_for_head(tokens, has_signal)
        logits: Tensor = self.head(pooled.to(self.head.linear.weight.dtype))
        return logits.float()

    def pool_for_head(self, tokens: Tensor, has_signal: Tensor) -> Tensor:
        """What the classifier sees of the tokens, ``(batch, dim)``."""
        if self.config.head_pooling == "cls":
            return tokens[:, 0]
        if self.config.head_pooling == "mean" and self.config.padded_frames is not None:
            return tokens.mean(dim=1)
        if self.config.head_pooling == "mean":
            return masked_mean(tokens, has_signal)
        return masked_mean(tokens[:, 1:], has_signal[:, 1:])

    def released_layers(self, selection: Sequence[int | str]) -> list[str]:
        """Module names for a layer selection of the released library.

        Its integers and its ``last_layer`` and ``all`` count the attention output projections, not
        the blocks: ``last_layer`` is taken before the last block's residual, norm and MLP.
        """
        projections = [f"blocks.{i}.attn.proj" for i in range(self.n_layers)]
        names: list[str] = []
        for item in selection:
            if item == "all":
                names += projections
            elif item == "last_layer":
                names.append(projections[-1])
            elif isinstance(item, int):
                names.append(projections[self._block_index(item)])
            else:
                names.append(self._module_name(item))
        return names

    def layer_width(self, name: str) -> int:
        """Channels of a layer that `released_layers` names."""
        width: int = getattr(self.get_submodule(name), "out_features", self.dim)
        return width

    def untrained(self) -> EAT:
        """The same network on the same device, with weights drawn from torch's generator."""
        twin = EAT(self.config, name=f"random {self.name}")
        return twin.to(self.cls_token.device).eval()

    def _layer_names(self, layers: Sequence[int | str]) -> dict[int | str, str]:
        wanted: dict[int | str, str] = {}
        for layer in layers:
            if isinstance(layer, int):
                wanted[layer] = f"blocks.{self._block_index(layer)}"
            elif layer == "all":
                wanted |= {name: name for name in self.released_layers(["all"])}
            else:
                wanted[layer] = self.released_layers([layer])[0]
        return wanted

    def _block_index(self, layer: int) -> int:
        if not -self.n_layers <= layer < self.n_layers:
            raise UsageError(
                f"{self.name}: no layer {layer}; need {-self.n_layers} to {self.n_layers - 1}"
            )
        return layer % self.n_layers

    def _module_name(self, name: str) -> str:
        short = name.removeprefix("backbone.").removeprefix("model.")
        known = {
            known for known, _ in self.blocks.named_modules(prefix="blocks") if known != "blocks"
        }
        if short not in known | {"pre_norm"}:
            raise UsageError(
                f"{self.name}: no layer {name!r}; need a block index, 'last_layer', 'all', "
                f"'pre_norm' or a module such as 'blocks.{self.n_layers - 1}.attn.proj'"
            )
        return short

    @contextmanager
    def _capture(self, names: set[str]) -> Iterator[dict[str, Tensor]]:
        captured: dict[str, Tensor] = {}

        def keep(name: str) -> RemovableHandle:
            def hook(_module: nn.Module, _args: object, output: Tensor) -> None:
                captured[name] = output.float()

            return self.get_submodule(name).register_forward_hook(hook)

        # for this one call: hooks that stay would fire for every other user of the model
        handles = [keep(name) for name in sorted(names)]
        try:
            yield captured
        finally:
            for handle in handles:
                handle.remove()


def steps_with_signal(features: Tensor, n_frames: Tensor | None, n_steps: int) -> Tensor:
    """``(batch, patches)`` bool: the patch's time step holds at least one frame of sound."""
    if n_frames is None:
        return torch.ones(
            len(features), n_steps * N_BAND_STEPS, dtype=torch.bool, device=features.device
        )
    first_frame = torch.arange(n_steps, device=features.device) * PATCH
    holds_sound = first_frame[None] < n_frames.to(features.device, non_blocking=True)[:, None]
    return holds_sound.repeat_interleave(N_BAND_STEPS, dim=1)


def _token_spans(n_steps: int) -> tuple[Tensor, Tensor]:
    """Start and stop of every token, CLS first, in seconds and in bands."""
    step = torch.arange(n_steps).repeat_interleave(N_BAND_STEPS)
    band = torch.arange(N_BAND_STEPS).repeat(n_steps)
    time_s = torch.stack([step, step + 1], dim=1) * STEP_S
    bands = torch.stack([band, band + 1], dim=1) * PATCH
    whole_time = torch.tensor([[0.0, n_steps * STEP_S]])
    whole_band = torch.tensor([[0, frontend.N_BANDS]])
    return torch.cat([whole_time, time_s]), torch.cat([whole_band, bands])
