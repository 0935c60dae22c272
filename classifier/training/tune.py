"""Search for hyperparameters: Optuna's TPE (Bergstra et al. 2011), median pruning, kept in an SQLite file.

An interrupted search resumes from the file: finished trials stay, the one that was cut off runs again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

    from classifier.training.config import Config
    from classifier.training.run_log import RunLog

STUDY = "tuning.db"
SHORTER, FEWEST_EPOCHS = 5, 3  # a trial has a fifth of the epochs, at least three
SMALLEST, STEP = 64, 32  # sizes of the input, pixels
UNPRUNED, RANDOM = 3, 10  # trials before the first is pruned, and before TPE chooses
FEWEST_TO_RANK = 4  # finished trials for the importance of the parameters
NOT_THE_SEARCH = ("out", "cache", "resume", "json", "device", "threads", "validation", "tune")

OnScore = Callable[[int, float], None]  # epoch, validation loss
Run = Callable[["Config", OnScore], float]  # trains a trial; its best validation loss


def search(config: Config, run: Run, *, split: str, checkpoint: Path, log: RunLog) -> Config:
    """The configuration with the values of the best of `config.tune` trials; notes all of them in the log.

    The first trial has the values as given, so that the result is no worse by validation loss. `split` is
    the fingerprint of the split; `checkpoint` is of the training that follows, and outdated by new trials.
    Raises ValueError without Optuna, and for a study of other options.
    """
    study = study_of(config, split)
    finished = sum(is_finished(trial) for trial in study.trials)
    if finished < config.tune:
        checkpoint.unlink(missing_ok=True)
        study.optimize(
            lambda trial: attempt(trial, config, run),
            n_trials=config.tune - finished,
            callbacks=[lambda _, trial: log.note("trial", **facts_of(trial))],
        )
    found = report(study, config)
    log.note("tuned", **found)
    return replace(config, **found["chosen"])


def study_of(config: Config, split: str) -> Study:
    """The study in --out, new or resumed; raises ValueError if it may not be continued."""
    try:
        import optuna
    except ImportError as error:
        raise ValueError("--tune requires a package: pip install optuna") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = config.out / STUDY
    if path.exists() and not config.resume:
        raise ValueError(f"{path} has an earlier search: resume it with --resume, or choose another --out")
    study = optuna.create_study(
        storage=f"sqlite:///{path}",
        study_name=config.name,
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED, n_warmup_steps=1),
    )
    # With the same seed a resumed search would draw the first values again.
    study.sampler = optuna.samplers.TPESampler(
        seed=config.seed + len(study.trials), n_startup_trials=min(RANDOM, max(UNPRUNED, config.tune // 3))
    )
    if study.user_attrs.setdefault("of", identity := identity_of(config, split)) != identity:
        raise ValueError(f"{path} is a search with other data or options: choose another --out")
    study.set_user_attr("of", identity)
    if not study.trials:
        study.enqueue_trial({name: getattr(config, name) for name in ranges(config)})
    restart(study)
    return study


def identity_of(config: Config, split: str) -> str:
    """sha256 of the split and of the options that trials share."""
    options = {name: value for name, value in asdict(config).items() if name not in NOT_THE_SEARCH}
    return hashlib.sha256(json.dumps([split, options], default=str, sort_keys=True).encode()).hexdigest()


def restart(study: Study) -> None:
    """Queue the trials that were cut off, with their values."""
    from optuna.trial import TrialState

    again = {trial.user_attrs.get("repeats") for trial in study.trials}
    for trial in study.trials:
        if trial.state is TrialState.RUNNING:
            study.tell(trial.number, state=TrialState.FAIL)
        if trial.state in {TrialState.RUNNING, TrialState.FAIL} and trial.number not in again:
            study.enqueue_trial(trial.params, user_attrs={"repeats": trial.number})


def ranges(config: Config) -> dict[str, dict[str, Any]]:
    """What is searched: for each option the arguments of Optuna's `suggest_float`, or `suggest_int`."""
    return {
        "lr": {"low": config.lr / 8, "high": config.lr * 4, "log": True},
        "augment": {"low": min(0.5, config.augment), "high": max(2.0, config.augment)},
        "dropout": {"low": 0.0, "high": max(0.5, config.dropout)},
        "size": {"low": max(SMALLEST, config.size - STEP), "high": config.size + STEP, "step": STEP},
    }


def suggested(trial: Trial, config: Config) -> dict[str, Any]:
    """The trial's values of the options."""
    return {
        name: trial.suggest_int(name, **how) if "step" in how else trial.suggest_float(name, **how)
        for name, how in ranges(config).items()
    }


def trial_epochs(config: Config) -> int:
    return min(config.epochs, max(FEWEST_EPOCHS, config.epochs // SHORTER))


def attempt(trial: Trial, config: Config, run: Run) -> float:
    """Train one trial; returns its best validation loss, raises Optuna's TrialPruned if it lags behind."""
    import optuna

    epochs = trial_epochs(config)
    minutes = config.max_minutes and config.max_minutes * epochs / config.epochs

    def watch(epoch: int, score: float) -> None:
        trial.report(score, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned

    return run(replace(config, **suggested(trial, config), epochs=epochs, max_minutes=minutes), watch)


def is_finished(trial: FrozenTrial) -> bool:
    return trial.state.name in {"COMPLETE", "PRUNED"}


def report(study: Study, config: Config) -> dict[str, Any]:
    """The trials with values and last validation loss, the chosen values, and the parameters' importance."""
    best = study.best_trial
    return {
        "trials": [facts_of(trial) for trial in study.trials if is_finished(trial)],
        "epochs": trial_epochs(config),
        "best": best.number,
        "chosen": best.params,
        "importance": importance(study),
    }


def facts_of(trial: FrozenTrial) -> dict[str, Any]:
    """Number, outcome and values; the loss of a pruned trial is that of its last epoch."""
    facts = {"trial": trial.number, "pruned": trial.state.name == "PRUNED", "epochs": trial.last_step or 0}
    return {**facts, "val_loss": trial.value, **trial.params}


def importance(study: Study) -> Mapping[str, float]:
    """Each parameter's share in the variance of the score (fANOVA, Hutter et al. 2014); empty if few."""
    import optuna

    scores = {trial.value for trial in study.trials if trial.state.name == "COMPLETE"}
    if len(scores) < FEWEST_TO_RANK:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))


def searched(log: RunLog) -> dict[str, Any]:
    """The noted report of the search, for the model card."""
    *_, found = log.events("tuned")
    return {name: value for name, value in found.items() if name not in {"event", "at"}}
