"""Work for a Ray cluster: functions are called on its workers, and again where one is killed."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.errors import DawnChorusError, DependencyError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RETRIES: Final = 10  # of a task whose worker was killed
ANSWER_S: Final = 10.0  # a cluster's head takes a connection within


def imported_ray(command: str) -> Any:
    """Ray's module, which has types for half of what it does.

    Raises:
        DependencyError: It is not installed.
    """
    try:
        import ray  # noqa: PLC0415  an extra, and heavy
    except ImportError as missing:
        raise DependencyError("ray", "ray", f"{command} --engine ray") from missing
    return ray


@contextmanager
def ray_cluster(
    address: str | None, device: str = "cpu", *, cpus_per_worker: int = 1, command: str = "embed"
) -> Iterator[Cluster]:
    """The cluster at an address, while the block lasts.

    Args:
        address: ``auto`` for the one this machine is part of; None: one of this machine alone,
            which ends with the block. A cluster that this process joined before is used as it is.
        device: with a CUDA device each worker takes one GPU.
        cpus_per_worker: cores of each worker.
        command: that needs it, for the message where Ray is not installed.

    Raises:
        DependencyError: Ray is not installed.
        UsageError: No cluster answers.
    """
    ray = imported_ray(command)
    is_own = not ray.is_initialized()
    if is_own:
        _check_answers(address)
        try:
            ray.init(address=address, log_to_driver=False, include_dashboard=False)
        except (ConnectionError, ValueError) as error:
            raise UsageError(f"no Ray cluster at {address}: {error}") from error
    try:
        yield Cluster(ray, device, cpus_per_worker)
    finally:
        if is_own:
            ray.shutdown()


def _check_answers(address: str | None) -> None:
    """Ray waits for minutes for a machine that does not answer, and then says little."""
    host, _, port = (address or "").rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        return  # auto, or of a form that is Ray's to read
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER_S).close()
    except (OSError, OverflowError) as error:
        raise UsageError(f"no Ray cluster at {address}: {error}") from error


class Cluster:
    """Workers of a size, and the results of what they were given to do.

    Attributes:
        n_workers: how many work at once.
    """

    def __init__(self, ray: Any, device: str, cpus_per_worker: int) -> None:
        """Of a Ray that is connected; with a CUDA device each worker takes one GPU."""
        self._ray = ray
        self.n_workers = max(1, int(ray.cluster_resources().get("CPU", 1)) // cpus_per_worker)
        self._needs = {
            "num_cpus": cpus_per_worker,
            "num_gpus": 1 if device.startswith("cuda") else 0,
            "max_retries": RETRIES,
        }

    def start(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call it on a worker."""
        return self._ray.remote(**self._needs)(function).remote(*arguments)

    def put(self, value: Any) -> Any:
        """Send a value once; what comes back stands for it as an argument of `start`."""
        return self._ray.put(value)

    def results(self, tasks: list[Any], *, lost: str) -> Iterator[tuple[Any, Any]]:
        """Each task with its result, as they end.

        Args:
            tasks: of `start`.
            lost: what to say behind "was killed 11 times", such as what to try.

        Raises:
            DawnChorusError: A task failed, or its worker was killed again and again.
        """
        ray = self._ray
        while tasks:
            ended, tasks = ray.wait(tasks)
            try:
                yield ended[0], ray.get(ended[0])
            except ray.exceptions.RayTaskError as error:
                # the others would work on for an answer that nobody reads
                for task in tasks:
                    ray.cancel(task)
                if isinstance(error.cause, DawnChorusError):
                    raise error.cause from error
                raise
            except ray.exceptions.RayError as error:
                raise DawnChorusError(
                    f"a worker was killed {RETRIES + 1} times ({error}); {lost}"
                ) from error
