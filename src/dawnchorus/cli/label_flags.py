"""The flags of the commands that are about one label in one store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dawnchorus.cli import options
from dawnchorus.cli.flag_record import OutputFlags
from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class OneLabelFlags(OutputFlags):
    """What `label suggest`, `label round` and `label density` have in common."""

    store: options.StorePath
    label: options.Label = None
    like: options.Like = None
    annotations: options.Annotations = None
    model: options.Model = None
    seed: options.Seed = 0

    def the_label(self) -> str:
        """The label.

        Raises:
            UsageError: None was named.
        """
        from dawnchorus.annotations.annotation_row import named_label

        if self.label is None:
            raise UsageError("this is done for one label at a time; name it: --label wren")
        return named_label(self.label)

    def vectors(self) -> NDArray[np.float32] | None:
        """Vectors of the sounds to look for, by the store's encoder; None: no sound was named."""
        from numpy import concatenate

        from dawnchorus.search.query import SoundQuery, embed_sounds
        from dawnchorus.store.read import Store

        if not self.like:
            return None
        sounds = [SoundQuery.parse(text) for text in self.like]
        return concatenate(embed_sounds(sounds, Store(self.store).header, self.model))
