"""A sweep: many trials of one architecture under Ray Tune, resumable, with a table at the end."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from heist_encoders.errors import ConfigError, HeistEncodersError, ResourceError
from heist_encoders.files import LOCK, FolderLock, prepare_folder, write_atomically
from heist_encoders.json_text import JsonObject
from heist_encoders.paths import user_path
from heist_encoders.ray_session import start_ray
from heist_encoders.tuning.loggers import logger_callbacks
from heist_encoders.tuning.options import SweepOptions
from heist_encoders.tuning.optuna_tpe import optuna_search
from heist_encoders.tuning.plan import existing_sweep, make_plan, place_of
from heist_encoders.tuning.results import PLAN, SweepResult, load_result
from heist_encoders.tuning.sampling import nested
from heist_encoders.tuning.spaces import SearchSpace, load_space, space_of
from heist_encoders.tuning.spread import with_spread

if TYPE_CHECKING:
    from ray import tune
    from ray.tune import Callback
    from ray.tune.experiment import Trial
    from ray.tune.schedulers import TrialScheduler
    from ray.tune.search import SearchAlgorithm, Searcher

    from heist_encoders.data.dataset import Dataset
    from heist_encoders.tuning.events import Progress
    from heist_encoders.tuning.resources import ResourcePlan

CHECKPOINTS_KEPT = 3


def sweep(
    space: str | Path | SearchSpace | JsonObject,
    dataset: str | Path | Dataset,
    *,
    out: str | Path,
    preset: str | None = None,
    options: SweepOptions | Mapping[str, object] | None = None,
    train: Mapping[str, object] | None = None,
    objective: Mapping[str, object] | None = None,
    metric: str | None = None,
    resume: bool = False,
    address: str | None = None,
    progress: Progress | None = None,
    callbacks: Sequence[Callback] = (),
    **overrides: object,
) -> SweepResult:
    """Search the hyperparameters of an autoencoder with Ray Tune.

    The same space, options and seed give the same configurations (``search="random"``), each trial trains from the
    same seed, and on the CPU to the same weights. Which trials ASHA stops depends on the order in which they come to a
    rung: with ``max_concurrent=1`` or ``scheduler="none"`` the best trial is a function of the seed. A time budget, and
    a limit on latency that a trial comes near, depend on the machine.

    Args:
        space: An architecture (``vae_paper``), a YAML file, a SearchSpace, or what ``search_space`` returns (also
            changed, or a ``param_space`` of your own with Tune's sampling).
        dataset: A dataset, its path or its URI; on a cluster a place that all nodes see.
        out: The sweep's folder: Tune's experiment, ``sweep.json``, and ``results.json`` and ``.csv`` at the end.
        preset: ``smoke``, ``quick`` or ``full``; see ``load_space``.
        options: How to search and how much to spend: ``SweepOptions`` in place of the space's, or a mapping of some of
            its fields over the space's; None = the space's.
        train: TrainConfig values fixed for all trials, over the space's: ``{"max_seconds": 20.0}``.
        objective: Values of ``Objective`` over the space's: ``{"max_latency_ms": 2.0}``.
        metric: ``miou`` (default), ``presence_f1``, ``linear_presence_f1`` or ``test_loss``.
        resume: Go on with the sweep in ``out``, if there is one: finished trials stay, unfinished ones go on from
            their last checkpoint, failed ones are tried again.
        address: Of a Ray cluster; None = the Ray of this process, or a new local one.
        progress: Called with a ``SweepEvent`` whenever something happens; the first one is the resource plan.
        callbacks: More Tune callbacks, besides those of ``log``.
        overrides: Fields of ``SweepOptions`` over ``options``: ``num_samples=4, seed=1``; None = as it is there.

    Raises:
        ConfigError: bad option, ``out`` unusable or holding another sweep, another sweep writing there, a state that
            can't be restored.
        ResourceError: if no trial can be placed, or all trials failed for lack of resources.
        UnknownNameError: for an unknown option, metric, scheduler, search algorithm or logger.
        MissingDependencyError: if ``search="optuna"`` and Optuna is missing or too old, or a package of ``log`` is
            missing.
        KeyboardInterrupt: on Ctrl-C, after the state is saved: ``resume=True`` goes on.
    """
    from heist_encoders.data.dataset import open_dataset

    space = _as_space(space, preset)
    chosen = options if isinstance(options, SweepOptions) else SweepOptions.resolve(space.sweep, **(options or {}))
    chosen = SweepOptions.resolve(chosen, **{key: value for key, value in overrides.items() if value is not None})
    limits = {**(objective or {}), **({} if metric is None else {"metric": metric})}
    space = space.with_options(train=train, objective=limits, **chosen.to_dict())
    rungs = {"first_probe": min(chosen.grace_epochs, space.max_epochs), "probe_factor": chosen.reduction_factor}
    space = space.with_options(objective=rungs)

    folder = user_path(out).absolute()
    data = open_dataset(dataset) if isinstance(dataset, (str, Path)) else dataset
    space.check_dataset(data.spec)
    plan = make_plan(space, data)
    existing = existing_sweep(folder, plan, resume)
    if existing is not None and existing.finished:
        return existing
    callbacks = (*logger_callbacks(chosen.log, folder), *callbacks)
    return _Sweep(space, data, folder, plan, progress, callbacks).go(restore=existing is not None, address=address)


class _Sweep:
    """A sweep that is about to run."""

    def __init__(
        self,
        space: SearchSpace,
        dataset: Dataset,
        folder: Path,
        plan: JsonObject,
        progress: Progress | None,
        callbacks: tuple[Callback, ...],
    ) -> None:
        self.space, self.dataset, self.folder = space, dataset, folder
        self.plan, self.progress, self.callbacks = plan, progress, callbacks

    def go(self, *, restore: bool, address: str | None) -> SweepResult:
        """Run to the end and write the results."""
        from heist_encoders.tuning import resources as placing
        from heist_encoders.tuning.events import SweepEvent

        searcher = None if restore else self._searcher()
        start_ray(address)
        options = self.space.sweep
        placed = placing.plan_resources(
            self.space.num_trials, options.cpus_per_trial, options.gpus_per_trial, options.max_concurrent
        )
        total = self.space.num_trials
        if self.progress is not None:
            self.progress(SweepEvent("plan", 0, total, max_epochs=self.space.max_epochs, message=str(placed)))
        prepare_folder(self.folder)
        with FolderLock(self.folder):
            trials = self._tune(placed, searcher, restore=restore)
            if trials and all(trial.status == "ERROR" for trial in trials):
                raise self._all_failed(trials[0])
            result = with_spread(load_result(self.folder, finished=True), self.dataset, self.space.objective)
            result.save()
        if self.progress is not None:
            best = result.best
            self.progress(
                SweepEvent(
                    "end", len(trials), total, best=None if best is None else best["objective"], metrics=best or {}
                )
            )
        return result

    def _tune(
        self, placed: ResourcePlan, searcher: Searcher | SearchAlgorithm | None, *, restore: bool
    ) -> Sequence[Trial]:
        """Run Tune to the end of all trials; they are given. Raises KeyboardInterrupt on Ctrl-C."""
        from heist_encoders.tuning import resources as placing
        from heist_encoders.tuning.events import listen

        listen(str(self.folder), self.progress)
        try:
            with placing.quiet_tune(), placing.Interruption() as interruption:
                tuner = self._restored(placed) if restore else self._new(placed, searcher)
                grid = self._fit(tuner)
                interrupted = interruption.happened
        finally:
            listen(str(self.folder), None)
        trials: Sequence[Trial] = grid._experiment_analysis.trials
        if interrupted or any(trial.status not in ("TERMINATED", "ERROR") for trial in trials):
            raise KeyboardInterrupt
        return trials

    def _new(self, placed: ResourcePlan, searcher: Searcher | SearchAlgorithm | None) -> tune.Tuner:
        from ray import tune

        from heist_encoders.tuning.events import trial_folder

        self._make_folder()
        optuna = self.space.sweep.search == "optuna"
        space = self.space.constants() if optuna else self.space.param_space()
        space.setdefault("seed", self.space.sweep.seed)
        return tune.Tuner(
            self._trainable(placed),
            param_space={**space, "dataset": place_of(self.dataset)},
            tune_config=tune.TuneConfig(
                metric="objective",
                mode="max",
                num_samples=self.space.sweep.num_samples,
                search_alg=searcher,
                scheduler=self._scheduler(),
                max_concurrent_trials=placed.concurrent if optuna else None,
                time_budget_s=self.space.sweep.time_budget_s,
                reuse_actors=True,
                trial_dirname_creator=trial_folder,
            ),
            run_config=tune.RunConfig(
                name=self.folder.name,
                storage_path=str(self.folder.parent),
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=self.space.sweep.max_failures),
                checkpoint_config=tune.CheckpointConfig(
                    num_to_keep=CHECKPOINTS_KEPT, checkpoint_score_attribute="objective", checkpoint_score_order="max"
                ),
                callbacks=[self._progress_callback(), *self.callbacks],
            ),
        )

    def _restored(self, placed: ResourcePlan) -> tune.Tuner:
        from ray import tune

        states = sorted(self.folder.glob("experiment_state-*.json"))
        if not (self.folder / "tuner.pkl").is_file() or not states:
            # Killed before Tune had written anything to go on from: begin again.
            return self._new(placed, self._searcher())
        try:
            json.loads(states[-1].read_text(encoding="utf-8"))
            return tune.Tuner.restore(
                str(self.folder), trainable=self._trainable(placed), resume_unfinished=True, resume_errored=True
            )
        except Exception as error:
            raise self._damaged(error) from None

    def _fit(self, tuner: tune.Tuner) -> tune.ResultGrid:
        try:
            return tuner.fit()
        except HeistEncodersError:
            raise
        except Exception as error:
            if "restore" in str(error).lower() or isinstance(error, (EOFError, json.JSONDecodeError)):
                raise self._damaged(error) from None
            raise

    def _damaged(self, error: Exception) -> ConfigError:
        done = len(load_result(self.folder).table)
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        return ConfigError(
            f"the state of the sweep in {self.folder} is truncated or altered ({reason}) and can't be resumed; its "
            f"{done} trials so far can still be promoted ('heist-encoders promote {self.folder}'), and a sweep into "
            "another folder with the same seed tries the same configurations"
        )

    def _trainable(self, placed: ResourcePlan) -> Callable[[JsonObject], None]:
        from ray import tune

        from heist_encoders.tuning.trial_function import trainable

        wanted = {"cpu": placed.cpus_per_trial}
        if placed.gpus_per_trial:
            wanted["gpu"] = placed.gpus_per_trial
        return tune.with_resources(trainable, wanted)

    def _progress_callback(self) -> Callback:
        from heist_encoders.tuning.events import ProgressCallback

        return ProgressCallback(str(self.folder), self.space.num_trials, self.space.max_epochs)

    def _scheduler(self) -> TrialScheduler:
        from ray.tune import schedulers

        options = self.space.sweep
        grace = min(options.grace_epochs, self.space.max_epochs)
        if options.scheduler == "asha":
            return schedulers.ASHAScheduler(
                time_attr="epoch",
                max_t=self.space.max_epochs,
                grace_period=grace,
                reduction_factor=options.reduction_factor,
            )
        if options.scheduler == "median":
            return schedulers.MedianStoppingRule(time_attr="epoch", grace_period=grace, min_samples_required=3)
        return schedulers.FIFOScheduler()  # type: ignore[no-untyped-call]

    def _searcher(self) -> Searcher | SearchAlgorithm:
        options = self.space.sweep
        if options.search == "optuna":
            return optuna_search(self.space, self.space.sweep.seed)
        from ray.tune.search.basic_variant import BasicVariantGenerator

        return BasicVariantGenerator(
            points_to_evaluate=[nested(point) for point in self.space.start[: options.num_samples]],
            random_state=self.space.sweep.seed,
            max_concurrent=options.max_concurrent or 0,
        )

    def _make_folder(self) -> None:
        try:
            for old in self.folder.iterdir():
                if old.name not in (PLAN, LOCK):
                    shutil.rmtree(old) if old.is_dir() else old.unlink()
            write_atomically(self.folder / PLAN, json.dumps(self.plan, indent=1) + "\n")
        except OSError as error:
            raise ConfigError(f"out = {self.folder}: {error.strerror}; choose a folder you may write to") from None

    def _all_failed(self, trial: Trial) -> HeistEncodersError:
        lines = [line.strip() for line in str(trial.get_pickled_error() or "").splitlines() if line.strip()]
        reason = lines[-1] if lines else "no reason given"
        return ResourceError(
            f"every trial of the sweep failed; the first one with: {reason}; see {trial.path}/error.txt"
        )


def _as_space(space: str | Path | SearchSpace | JsonObject, preset: str | None) -> SearchSpace:
    if isinstance(space, SearchSpace):
        return space
    return space_of(space, preset) if isinstance(space, dict) else load_space(space, preset)
