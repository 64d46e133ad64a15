"""Where metrics of a training go while it runs: a file in any case, and the tools that people watch trainings with.

A sink is told (step, metrics); names are those of the field (`area/name`). A tool that is not installed is an error before the
training starts, and one that fails while it runs is said once and left alone: no training ends because somebody's dashboard did.
"""

from __future__ import annotations

import enum
import importlib
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, assert_never

from plaudit.errors import MissingExtra

Tell = Callable[[int, Mapping[str, float]], None]
"""told the number of a step and its metrics"""


class Tool(enum.Enum):
    """What draws metrics. Each is a package of its own, to be installed and set up as its documentation says."""

    TENSORBOARD = "tensorboard"
    WANDB = "wandb"
    MLFLOW = "mlflow"
    TRACKIO = "trackio"


@dataclass
class Sinks:
    """All places that metrics go to.

    Args:
        folder: gets `metrics.jsonl`, one line per step; steps that are told again after a resume replace those from there on.
        tools: besides.
        name: of the training, where a tool wants one.

    Raises MissingExtra naming a tool that is not installed.
    """

    folder: Path
    tools: Sequence[Tool] = ()
    name: str = "plaudit"
    _tell: dict[Tool, Tell] = field(default_factory=dict[Tool, Tell], init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._tell = {tool: _opened(tool, self.folder, self.name) for tool in dict.fromkeys(self.tools)}
        self._known = _lines(self.path)
        self._write()  # without what was cut off

    @property
    def path(self) -> Path:
        """The file of metrics."""
        return self.folder / "metrics.jsonl"

    def tell(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write a step's metrics down, and pass them on."""
        if self._known and self._known[-1]["step"] >= step:
            self._known = [line for line in self._known if line["step"] < step]
            self._write()
        line = {"step": step, **metrics}
        self._known.append(line)
        with self.path.open("a") as stream:
            stream.write(json.dumps(line) + "\n")
        for tool, tell in list(self._tell.items()):
            try:
                tell(step, metrics)
            except Exception as error:  # noqa: BLE001 (a border: whatever a dashboard raises, the training goes on)
                warnings.warn(f"{tool.value} takes no metrics any more: {error!r}", stacklevel=2)
                del self._tell[tool]

    def _write(self) -> None:
        fresh = self.path.with_suffix(".new")
        fresh.write_text("".join(json.dumps(line) + "\n" for line in self._known))
        fresh.replace(self.path)


def _lines(path: Path) -> list[dict[str, Any]]:
    """Whole lines of the file; one that was cut off when the process died is dropped."""
    if not path.exists():
        return []
    found: list[dict[str, Any]] = []
    for line in path.read_text().splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found


def _opened(tool: Tool, folder: Path, name: str) -> Tell:
    module = _imported("torch.utils.tensorboard" if tool is Tool.TENSORBOARD else tool.value, tool)
    match tool:
        case Tool.TENSORBOARD:
            writer = module.SummaryWriter(str(folder / "tensorboard"))

            def written(step: int, metrics: Mapping[str, float]) -> None:
                for key, value in metrics.items():
                    writer.add_scalar(key, value, step)
                writer.flush()

            return written
        case Tool.WANDB | Tool.TRACKIO:
            module.init(project=name, dir=str(folder)) if tool is Tool.WANDB else module.init(project=name)
            return lambda step, metrics: module.log(dict(metrics), step=step)
        case Tool.MLFLOW:
            module.set_experiment(name)
            module.start_run()
            return lambda step, metrics: module.log_metrics(dict(metrics), step=step)
        case _:
            assert_never(tool)


def _imported(module: str, tool: Tool) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(
            f"Metrics cannot go to {tool.value}", got=str(error), next_step=f"install it with: pip install {tool.value}"
        ) from error
