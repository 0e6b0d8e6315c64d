"""The training loop, from top to bottom; what is optional is in :mod:`sightline.engine.hooks`."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import closing

from sightline.data.loading.dataset import Sample
from sightline.data.loading.worker_failure import worker_failures_explained
from sightline.engine.candidates import keep_if_good, require_metric, save_all
from sightline.engine.checkpoints import Checkpoints
from sightline.engine.gradients import compute_gradients
from sightline.engine.hooks.base import HookList
from sightline.engine.not_finite import allows_step
from sightline.engine.optimizer import set_learning_rate
from sightline.engine.pace import Pace
from sightline.engine.precision import clip_gradients
from sightline.engine.preflight import check_first_losses
from sightline.engine.schedules import rate_factor
from sightline.engine.state import Training, TrainingState
from sightline.engine.validation import validate
from sightline.logs import Progress
from sightline.metrics.selection import metrics_line
from sightline.models.stages import train_mode

_log = logging.getLogger(__name__)


def train(training: Training, hooks: HookList, checkpoints: Checkpoints, pace: Pace) -> TrainingState:
    """Train to the last iteration, resuming from the newest checkpoint.

    Writes the candidates to ``training.files``.  A process that is killed at any time and restarted produces the same
    weights as an uninterrupted one, with any number of workers.

    Args:
        training: The network, the data and the settings; changed in place.
        hooks: The optional parts.
        checkpoints: Where the state is kept.
        pace: Measures and logs the speed.

    Raises:
        StepError: The loss is not finite, memory does not suffice, a hook failed, or no checkpoint can be used.
        ConfigurationError: ``train.best_metric`` is not among the metrics.
    """
    settings = training.settings
    require_metric(settings.best_metric, training.metric_names)
    hooks.load_state_dict(checkpoints.restore(training))
    state = training.state
    if state.iteration and training.is_last:
        return state
    if state.iteration:
        _log.info("resuming after iteration %d of %d", state.iteration, training.total)
    pace.begin(state.iteration, state.seconds)
    train_mode(training.network, stages=settings.frozen_stages, norms=settings.frozen_norms)
    with closing(checkpoints), hooks.watching(training), worker_failures_explained():
        hooks.call("before_training", training)
        for batch in _with_bar(pace.waiting_for(training.batches(training.settings.workers)), training):
            state.iteration += 1
            training.batch = batch
            if hooks.allow_step(training):
                _step(training, hooks)
                if state.iteration == 1:
                    check_first_losses(training)
            hooks.call("after_step", training)
            hooks.agree_on_stopping(training)
            pace.count(settings.batch_size)

            if training.due(settings.log_every) and training.losses:
                values = training.log_values() | pace.lap()
                training.note(values)
                pace.log(values)
            if training.ends_epoch:
                hooks.call("after_epoch", training)
            if training.due(settings.validation_interval(training.images)):
                training.metrics = validate(training)
                train_mode(training.network, stages=settings.frozen_stages, norms=settings.frozen_norms)
                training.note({f"val/{name}": value for name, value in training.metrics.items()})
                is_best = keep_if_good(training, checkpoints)
                _log_validation(training, is_best=is_best)
                hooks.call("after_validation", training)
                pace.exclude_pause()
            hooks.agree_on_stopping(training)
            state.seconds = pace.seconds
            if training.is_last:
                break
            if state.iteration % settings.checkpoint_every == 0 or checkpoints.overdue:
                checkpoints.save(training, hooks.state_dict())
        hooks.call("after_training", training)
        if state.stopped:
            _log.info("stopping after iteration %d of %d: %s", state.iteration, training.total, state.stopped)
        if training.group.is_first:
            save_all(training, checkpoints)
        checkpoints.save(training, hooks.state_dict(), last=True)
    return state


def _step(training: Training, hooks: HookList) -> None:
    """One step of the optimizer on one batch."""
    settings = training.settings
    factor = rate_factor(settings.schedule, training.iteration, warmup=settings.warmup_iterations, total=training.total)
    training.learning_rate = settings.learning_rate * factor
    set_learning_rate(training.optimizer, training.learning_rate)
    training.losses = compute_gradients(training)
    training.precision.unscale(training.optimizer)
    training.gradient_norm = clip_gradients(training.network, settings.clip_norm).item()
    if allows_step(training):
        hooks.call("before_optimizer_step", training)
        training.precision.step(training.optimizer)
        hooks.call("after_optimizer_step", training)


def _with_bar(plan: Iterable[list[Sample]], training: Training) -> Iterator[list[Sample]]:
    begin, total = training.state.iteration, training.total
    with Progress("train", total=total, unit="iterations", begin=begin, lines=False) as progress:
        yield from progress.track(plan)


def _log_validation(training: Training, *, is_best: bool) -> None:
    name = training.settings.best_metric
    best = f" (best {name} so far)" if is_best else ""
    shown = metrics_line(training.metrics, training.metric_names)
    _log.info("validation after iteration %d: %s%s", training.state.iteration, shown, best)
