"""`from_pretrained`, `save_pretrained`, `push_to_hub`: the calls that models of the hub have.

Their arguments are those of huggingface_hub's ``ModelHubMixin``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, cast

from dawnchorus.errors import UsageError

if TYPE_CHECKING:
    from dawnchorus.models.eat import EAT
    from dawnchorus.models.load import Normalization
    from dawnchorus.models.write import FilePrecision

MESSAGE: Final = "Push model using dawnchorus"


class Pretrained:
    """What a model offers to be read from a hub and written to one."""

    @classmethod
    def from_pretrained(  # noqa: PLR0913  the arguments of huggingface_hub's mixin
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        force_download: bool = False,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        revision: str | None = None,
        device: str = "cpu",
        return_features_only: bool = False,
        normalization: Normalization = None,
    ) -> Self:
        """Load a model of the hub, a folder or a known name; as `load_model` checks it.

        Args:
            pretrained_model_name_or_path: ``owner/repo``, or whatever `load_model` takes.
            force_download: download again what lies in the cache.
            token: of a user who may read the repository; None: the one of ``hf auth login``.
            cache_dir: where downloads lie; None: huggingface_hub's cache.
            local_files_only: make no request.
            revision: branch, tag or commit.
            device: as in `load_model`, here the CPU.
            return_features_only: as in `load_model`.
            normalization: as in `load_model`.

        Returns:
            The model in evaluation mode.

        Raises:
            UsageError: There is no such model, or it is of another class.
            WeightsError: As of `load_model`.
            DownloadError: The repository cannot be reached.
        """
        from dawnchorus.models.hub import Access  # noqa: PLC0415  they know this class
        from dawnchorus.models.load import open_model, resolve_device  # noqa: PLC0415

        access = Access(
            token=token,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            force_download=force_download,
        )
        name = _model_name(pretrained_model_name_or_path, revision)
        model = open_model(name, normalization=normalization, access=access).model
        if not isinstance(model, cls):
            raise UsageError(f"{name}: a {type(model).__name__}, not a {cls.__name__}")
        model.return_features_only = return_features_only
        return model.to(resolve_device(device)).eval()

    def save_pretrained(
        self,
        save_directory: str | Path,
        *,
        precision: FilePrecision | None = None,
        repo_id: str | None = None,
        push_to_hub: bool = False,
        **push_to_hub_kwargs: Any,  # Any: those of `push_to_hub`
    ) -> str | None:
        """Write a folder that `load_model` and `from_pretrained` take.

        It holds weights, card, label map, and a page for the hub (``README.md``).

        Args:
            save_directory: made if it is not there.
            precision: of the numbers in the file; None: float16 where that changes none of them,
                else float32.
            repo_id: where to push; None: the folder's name.
            push_to_hub: whether to.
            push_to_hub_kwargs: of `push_to_hub`.

        Returns:
            Address of the commit, None without ``push_to_hub``.

        Raises:
            WeightsError: The folder cannot be written.
        """
        from dawnchorus.models.publish import save_model  # noqa: PLC0415

        folder = Path(save_directory)
        save_model(cast("EAT", self), folder, precision=precision, repo=repo_id)
        if not push_to_hub:
            return None
        return self.push_to_hub(repo_id or folder.resolve().name, **push_to_hub_kwargs)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        commit_message: str = MESSAGE,
        private: bool | None = None,
        token: str | None = None,
        branch: str | None = None,
        create_pr: bool = False,
        precision: FilePrecision | None = None,
    ) -> str:
        """Put the model into a repository of the hub, in one commit.

        Args:
            repo_id: ``owner/repo``; made if it is not there.
            commit_message: of the commit.
            private: whether a new repository is; None: as its owner has it.
            token: of a user who may write there; None: the one of ``hf auth login``.
            branch: to write to; None: main.
            create_pr: propose the commit instead.
            precision: as in `save_pretrained`.

        Returns:
            Address of the commit.

        Raises:
            UsageError: ``repo_id`` cannot be a repository.
            WeightsError: The hub cannot be reached, or does not let this user write there.
        """
        from dawnchorus.models.hub import Commit  # noqa: PLC0415
        from dawnchorus.models.publish import push_model  # noqa: PLC0415

        commit = Commit(
            message=commit_message, private=private, token=token, branch=branch, create_pr=create_pr
        )
        return push_model(cast("EAT", self), repo_id, commit, precision=precision)


def _model_name(name: str | Path, revision: str | None) -> str | Path:
    """A name as `load_model` takes it, from one as `from_pretrained` does."""
    from dawnchorus.models.address import HUB_PREFIX, parse_address  # noqa: PLC0415
    from dawnchorus.models.card import card_files  # noqa: PLC0415

    text = str(name)
    if not text.startswith(HUB_PREFIX) and (Path(name).exists() or text in card_files()):
        if revision is not None:
            raise UsageError(f"{name}: revision {revision!r} is of a repository, this is not one")
        return name
    if not text.startswith(HUB_PREFIX) and text.count("/") != 1:
        return name
    address = parse_address(text if text.startswith(HUB_PREFIX) else HUB_PREFIX + text)
    if revision is None:
        return str(address)
    if address.revision not in {None, revision}:
        raise UsageError(f"{name}: names another revision than {revision!r}")
    quoted = revision.replace("/", "%2F")
    return f"{HUB_PREFIX}{address.repo}@{quoted}" + (f"/{address.file}" if address.file else "")
