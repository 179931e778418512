"""Where a run is: networks, optimizer, averaged weights and counters; how it is built, saved and restored."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.fabric import Fabric
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from autosam.config import Config
from autosam.errors import ConfigError
from autosam.models.networks import Networks
from autosam.training.joint import JointModel
from autosam.training.optimizer import make_optimizer
from autosam.training.run.devices import prepare
from autosam.training.run.run_folder import MODEL, TRAIN_LOG, VALIDATION_LOG, RunFolder
from autosam.training.run.saving import averaged_networks, save_trained
from autosam.training.schedule import exponential_average
from autosam.training.teacher import Teacher


@dataclass(eq=False)
class TrainingState:
    """Everything that changes while a run trains, and what it needs for that.

    Attributes
    ----------
    wrapped : callable
        The model as Fabric set it up, for the forward pass.
    averaged : AveragedModel
        The exponential average of the weights, which is what the run keeps.
    step : int
        Steps that are done.
    saved : int
        Steps that the last checkpoint knows of; 0 where there is none but that of the start.
    best : float
        Highest score of a validation so far, below 0 before the first.
    fruitless : int
        Validations in a row without a better score.
    """

    config: Config
    networks: Networks
    fabric: Fabric
    model: JointModel
    wrapped: Any
    optimizer: Optimizer
    averaged: AveragedModel
    folder: Path
    license: str
    step: int = 0
    saved: int = 0
    best: float = -1.0
    fruitless: int = 0

    @property
    def evaluated(self) -> Networks:
        """The averaged weights as networks in evaluation mode."""
        return averaged_networks(self.averaged, self.networks)

    def is_best(self, score: float) -> bool:
        """Count a validation, and tell whether none before was better."""
        better = score >= self.best
        self.best, self.fruitless = (score, 0) if better else (self.best, self.fruitless + 1)
        return better

    def keep(self, scores: Mapping[str, Any], *, diameter: float) -> None:
        """Write the averaged weights as the run's model file."""
        summary = {"step": self.step, **scores}
        save_trained(
            self.folder / MODEL, self.evaluated, self.config, summary, license=self.license, diameter=diameter
        )

    def save(self, run: RunFolder, *, finished: bool = False) -> None:
        """Replace the checkpoint. A run that ended early is ``finished``: it has nothing to go on with."""
        self.saved = self.config.training.steps if finished else self.step
        run.save_checkpoint(
            {
                "step": self.saved,
                "best": self.best,
                "fruitless": self.fruitless,
                "license": self.license,
                "model": self.model.state_dict(),
                "averaged": self.averaged.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "precision": self.fabric.strategy.precision.state_dict(),
            }
        )

    def restore(self, run: RunFolder) -> None:
        """Go back to the checkpoint, and cut the logs there.

        Raises
        ------
        ConfigError
            If the run was started with another license than was given now.
        """
        state = run.load_checkpoint()
        self.model.load_state_dict(state["model"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.fabric.strategy.precision.load_state_dict(state["precision"])
        self.step = self.saved = int(state["step"])
        self.best, self.fruitless = float(state["best"]), int(state["fruitless"])
        if self.license and self.license != state["license"]:
            raise ConfigError(
                f"the run in {self.folder} was started with license {state['license']!r}; leave --license away"
            )
        self.license = str(state["license"])
        run.cut_log(TRAIN_LOG, self.step)
        run.cut_log(VALIDATION_LOG, self.step)


def build_state(
    config: Config,
    networks: Networks,
    fabric: Fabric,
    *,
    folder: Path,
    license: str,
    teacher: Teacher | None = None,
) -> TrainingState:
    """Put the networks on their device, beside a fresh optimizer and average."""
    settings = config.training
    model = JointModel(networks, prompts=config.prompts, training=settings, teacher=teacher)
    prepare(model, device=fabric.device, compiled=settings.compile)
    optimizer = make_optimizer(model, settings)
    averaged = AveragedModel(model, multi_avg_fn=exponential_average(settings.ema), use_buffers=True)
    wrapped, optimizer = fabric.setup(model, optimizer)
    return TrainingState(config, networks, fabric, model, wrapped, optimizer, averaged, folder, license)
