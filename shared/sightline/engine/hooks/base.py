"""The hook protocol: what runs at the moments of a training, and how hooks are found and called."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sightline.config.hooks import Hooks
from sightline.errors import ConfigurationError, SightlineError, StepError
from sightline.names import NameTable

if TYPE_CHECKING:
    from sightline.engine.state import Training

HOOKS = NameTable("hook", dict.fromkeys(Hooks.model_fields, "sightline.engine.hooks.*:make_hook"))
"""Makes a hook from its section of the settings; None: it is off."""


class Hook:
    """Runs at moments of a training; every method does nothing unless it is overridden.

    The methods get the :class:`~sightline.engine.state.Training`, with everything that the loop knows: ``iteration``,
    ``network``, ``optimizer``, ``batch``, ``losses``, ``gradient_norm``, ``metrics`` of the last validation, and the
    method ``stop``.  With several processes, hooks run in each of them; ``training.group.is_first`` is true in one.

    A hook with a state has ``state_dict`` and ``load_state_dict``: a dictionary of tensors and JSON values, which is
    part of every checkpoint, so that the hook survives an interruption.
    """

    def before_training(self, training: Training) -> None:
        """Called once in every process, after a checkpoint was loaded."""

    def before_step(self, training: Training) -> bool | None:
        """Called before the forward pass; the iteration is left out if it returns False."""

    def before_optimizer_step(self, training: Training) -> None:
        """Called when the gradients are complete and clipped."""

    def after_optimizer_step(self, training: Training) -> None:
        """Called when the weights have changed."""

    def after_step(self, training: Training) -> None:
        """Called at the end of each iteration, before a validation."""

    def after_epoch(self, training: Training) -> None:
        """Called when all training images have been used once more."""

    def after_validation(self, training: Training) -> None:
        """Called with ``training.metrics``, after the candidates were saved."""

    def after_training(self, training: Training) -> None:
        """Called after the last iteration."""

    def on_exception(self, training: Training, error: BaseException) -> None:
        """Called when the training ends with an error, which is raised again afterwards."""

    def state_dict(self) -> dict[str, Any]:
        """Tensors and JSON values by name; restored by :meth:`load_state_dict`."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the result of :meth:`state_dict`."""


class HookList:
    """The hooks of a training, called in their order.

    Args:
        hooks: Name -> hook.
    """

    def __init__(self, hooks: dict[str, Hook]) -> None:
        self._hooks = hooks
        self.can_skip = any(type(hook).before_step is not Hook.before_step for hook in hooks.values())

    def call(self, moment: str, training: Training) -> None:
        """Call a method of all hooks.

        Raises:
            StepError: A hook failed.
        """
        for name, hook in self._hooks.items():
            with _named(name, moment, training):
                getattr(hook, moment)(training)

    def allow_step(self, training: Training) -> bool:
        """Whether no hook leaves out this iteration, in any process."""
        allowed = True
        for name, hook in self._hooks.items():
            with _named(name, "before_step", training):
                allowed = hook.before_step(training) is not False and allowed
        return training.group.all_true(allowed) if self.can_skip else True

    def agree_on_stopping(self, training: Training) -> None:
        """End the training in all processes if a hook ends it in one."""
        if self._hooks and not training.group.all_true(not training.state.stopped):
            training.state.stopped = training.state.stopped or "a hook stopped another process"

    @contextmanager
    def watching(self, training: Training) -> Iterator[None]:
        """Tell all hooks of an error, which is raised again."""
        try:
            yield
        except BaseException as error:
            for hook in self._hooks.values():
                try:
                    hook.on_exception(training, error)
                except Exception as another:  # noqa: BLE001  (the first error is the one to report)
                    error.add_note(f"a hook failed while it was told of this error: {another!r}")
            raise

    def state_dict(self) -> dict[str, dict[str, Any]]:
        """The states of all hooks that have one, by name."""
        return {name: state for name, hook in self._hooks.items() if (state := hook.state_dict())}

    def load_state_dict(self, states: dict[str, dict[str, Any]]) -> None:
        """Restore :meth:`state_dict`; a hook without a stored state begins anew."""
        for name, hook in self._hooks.items():
            if name in states:
                hook.load_state_dict(states[name])


@contextmanager
def _named(name: str, moment: str, training: Training) -> Iterator[None]:
    try:
        yield
    except SightlineError:
        raise
    except Exception as error:
        raise StepError(
            f"the hook {name} failed in {moment} at iteration {training.iteration} ({type(error).__name__}: {error}); "
            "correct it, or remove it from train.hooks"
        ) from error


def open_hooks(settings: Hooks) -> HookList:
    """The hooks that a recipe turns on: built-in ones in the order of the settings, then the user's own.

    Raises:
        ConfigurationError: A class cannot be imported, or does not take the arguments.
    """
    hooks: dict[str, Hook] = {}
    for name in HOOKS:
        make: Callable[[Any], Hook | None] = HOOKS.load(name, "train.hooks")
        hook = make(getattr(settings, name))
        if hook is not None:
            hooks[name] = hook
    for name, arguments in settings.own.items():
        hooks[name] = _own_hook(name, arguments)
    return HookList(hooks)


def _own_hook(name: str, arguments: dict[str, Any]) -> Hook:
    module, _, attribute = name.partition(":")
    try:
        kind = getattr(importlib.import_module(module), attribute)
        hook = kind(**arguments)
    except Exception as error:
        raise ConfigurationError(
            f"train.hooks: cannot make {name} with {arguments} ({type(error).__name__}: {error}); the module must be "
            "importable where training runs (installed, or published with publish-code), and the class must take these "
            "arguments"
        ) from error
    if not isinstance(hook, Hook):
        raise ConfigurationError(
            f"train.hooks: {name} is not a hook; derive the class from sightline.engine.hooks.base.Hook"
        )
    return hook
