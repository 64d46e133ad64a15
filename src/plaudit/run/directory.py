"""A run's directory: what lies where, and who may write to it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from safetensors import SafetensorError

from plaudit.errors import RunError


class RunDirectory:
    """Paths inside a run's directory.

    Args:
        path: the directory; it need not exist yet.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.store = self.path / "store.sqlite"
        self.blobs = self.path / "blobs"
        self.checkpoints = self.path / "checkpoints"
        self.pieces = self.path / "behaviour"
        self.config = self.path / "config.json"
        self.timing = self.path / "timing.jsonl"
        self.metrics = self.path / "metrics.jsonl"
        self.report_html = self.path / "report.html"
        self.report_json = self.path / "report.json"
        self.policy = self.path / "policy.zip"
        self.reward = self.path / "reward.safetensors"
        self._lock = FileLock(self.path / ".lock")

    @property
    def exists(self) -> bool:
        """Whether a run lives here."""
        return self.store.is_file()

    def require(self) -> None:
        """Raise RunError unless a run lives here."""
        if not self.exists:
            raise RunError(
                "There is no run in this directory",
                got=str(self.path),
                expected="a directory made by `plaudit run`",
                next_step="check the path, or start a run with `plaudit run RUN.toml`",
            )

    def acquire(self) -> None:
        """Become the one process that runs here. Raises RunError when another one does."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout as error:  # an OSError too, so it comes first
            raise RunError(
                "Another process is running in this directory",
                got=str(self.path),
                next_step="wait for it or stop it, or give this run another directory with --directory",
            ) from error
        except OSError as error:
            raise RunError(
                "The run's directory cannot be written",
                got=f"{self.path}: {error}",
                next_step="check the path, its permissions and the disk, or give another directory with --directory",
            ) from error

    def release(self) -> None:
        """Let others run here."""
        self._lock.release()

    def contents(self) -> dict[str, tuple[Path, int]]:
        """What lies where, with sizes in bytes."""
        places = {
            "event log and projections": [self.store, self.store.with_name("store.sqlite-wal")],
            "segments and videos": [self.blobs],
            "checkpoints": [self.checkpoints, self.pieces],
            "report": [self.report_html, self.report_json],
            "trained policy": [self.policy],
            "reward model": [self.reward],
            "metrics and timing": [self.metrics, self.timing],
        }
        return {name: (paths[0], sum(_size(path) for path in paths)) for name, paths in places.items()}


@contextmanager
def writing(path: Path) -> Generator[None]:
    """Turn what the disk refuses while `path` is written into RunError."""
    try:
        yield
    except (OSError, SafetensorError) as error:  # safetensors hides the system's error in its own
        raise RunError(
            "A file of the run could not be written",
            got=f"{path}: {error}",
            next_step="free disk space and run `plaudit resume`; all finished stages are kept",
        ) from error


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size if path.exists() else 0
