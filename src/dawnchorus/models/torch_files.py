"""Checkpoints that torch wrote, read for their tensors alone: nothing that a file names is called.

``torch.load(weights_only=True)`` reads most. Where objects of other packages lie beside the
tensors, as in fairseq's, an unpickler of ours puts an empty object in the place of each. A
TorchScript archive is a program and is refused before torch sees it.
"""

from __future__ import annotations

import pickle
import struct
import warnings
import zipfile
from typing import TYPE_CHECKING, Any, Final

import torch

from dawnchorus.errors import WeightsError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

ZIP_MAGIC: Final = b"PK\x03\x04"
STORED: Final = {
    "FloatStorage": torch.float32, "HalfStorage": torch.float16, "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}  # fmt: skip
# whatever bytes that are no checkpoint make of torch, zipfile and pickle
UNREADABLE: Final = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    struct.error,
    RuntimeError,  # torch's, NotImplementedError and RecursionError too
    EOFError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    OverflowError,
    MemoryError,
    ImportError,
)


def read_torch(path: Path) -> object:
    """What a file of torch holds, with empty objects for all that are not tensors or plain values.

    Raises:
        WeightsError: The file is no checkpoint, is a program, or packs more than its own size.
    """
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, of what this loader is there to handle
        is_zip = file.read(len(ZIP_MAGIC)) == ZIP_MAGIC
        file.seek(0)
        if is_zip:
            _refuse_programs(path, file)
        try:
            return torch.load(file, map_location="cpu", weights_only=True)
        except UNREADABLE as plain:
            file.seek(0)
            try:
                return _read_zip(file) if is_zip else _read_old(file)
            except UNREADABLE as error:
                raise WeightsError(
                    f"{path}: not a readable checkpoint: {str(error)[:300]}"
                ) from plain


def _refuse_programs(path: Path, file: BinaryIO) -> None:
    try:
        entries = zipfile.ZipFile(file).infolist()
    except UNREADABLE as error:
        raise WeightsError(f"{path}: not a whole checkpoint: {str(error)[:300]}") from error
    for entry in entries:
        parts = entry.filename.replace("\\", "/").split("/")
        if "code" in parts[:-1] or parts[-1] == "constants.pkl":
            raise WeightsError(
                f"{path}: a TorchScript archive, which is a program and not only weights (it holds "
                f"{entry.filename}); nothing of it was run. Ask for the weights as safetensors, or "
                "save the model's state_dict() where you trust the file"
            )
        if entry.compress_type != zipfile.ZIP_STORED:
            raise WeightsError(
                f"{path}: {entry.filename} is compressed, which torch never does; unpacked it "
                f"would take {entry.file_size} bytes"
            )
    file.seek(0)


class _ForeignObject:
    """Stands for any object of a checkpoint that is not a tensor; it does nothing at all."""

    def __init__(self, *_args: object, **_kwargs: object) -> None: ...

    def __setstate__(self, _state: object) -> None: ...

    def __setitem__(self, _key: object, _value: object) -> None: ...

    def append(self, _value: object) -> None: ...

    def extend(self, _values: object) -> None: ...

    def __call__(self, *_args: object, **_kwargs: object) -> _ForeignObject:
        return self

    def __hash__(self) -> int:
        return id(self)


class _TensorsOnly:
    """A pickle module for `torch.load` that rebuilds tensors and calls nothing else.

    Every other global becomes `_ForeignObject`, so a pickle that names ``os.system`` gets an object
    that does nothing.
    """

    ALLOWED: Final = {
        ("collections", "OrderedDict"),
        ("torch._utils", "_rebuild_tensor_v2"),
        ("torch._utils", "_rebuild_parameter"),
        *(("torch", kind) for kind in STORED),
    }
    UnpicklingError = pickle.UnpicklingError

    class Unpickler(pickle.Unpickler):
        """Finds only what tensors need."""

        def find_class(self, module: str, name: str) -> Any:
            if (module, name) in _TensorsOnly.ALLOWED:
                return super().find_class(module, name)
            return _ForeignObject

    @staticmethod
    def load(file: Any, **kwargs: Any) -> object:
        """As `pickle.load`; torch calls it for old-style files."""
        return _TensorsOnly.Unpickler(file, **kwargs).load()


class _ZipUnpickler(_TensorsOnly.Unpickler):
    """Reads ``data.pkl`` of an archive; its storages lie beside it, a file each."""

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(archive.open(f"{root}/data.pkl"), encoding="utf-8")
        self._archive, self._root = archive, root
        self._storages: dict[str, torch.TypedStorage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in STORED:
            return STORED[name]
        return super().find_class(module, name)

    def persistent_load(self, saved: Any) -> torch.TypedStorage:
        _, dtype, key, *_ = saved
        if key not in self._storages:
            content = bytearray(self._archive.read(f"{self._root}/data/{key}"))
            flat = torch.frombuffer(content, dtype=torch.uint8) if content else torch.empty(0)
            self._storages[key] = torch.TypedStorage(  # type: ignore[no-untyped-call]  # torch's
                wrap_storage=flat.untyped_storage(), dtype=dtype, _internal=True
            )
        return self._storages[key]


def _read_zip(file: BinaryIO) -> object:
    """Never by ``torch.load``, which would run an archive that it takes for a program."""
    with zipfile.ZipFile(file) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise pickle.UnpicklingError(f"{len(pickles)} files data.pkl, need one")
        root = pickles[0].removesuffix("/data.pkl")
        order = f"{root}/byteorder"
        if order in archive.namelist() and archive.read(order) != b"little":
            raise pickle.UnpicklingError("written on a big-endian machine")
        return _ZipUnpickler(archive, root).load()


def _read_old(file: BinaryIO) -> object:
    return torch.load(file, map_location="cpu", weights_only=False, pickle_module=_TensorsOnly)
