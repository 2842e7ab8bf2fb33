"""The table of query strategies, and the plug-ins that join it."""

from fewmasks.errors import ConfigError
from fewmasks.query.strategies import (
    alges_img,
    alges_seg,
    badge,
    bald,
    clasp_pe,
    cluster_stratified,
    core_gcn,
    core_then_uncertain,
    coreset,
    deal,
    entropy,
    foreground_random,
    fused_coreset,
    ipm,
    ipm_uncertainty,
    least_confidence,
    margin,
    power_bald,
    power_entropy,
    predicted_foreground_random,
    prob_k_center,
    probcover,
    random,
    stochastic_batches,
    strided,
    suggestive,
    suggestive_hard,
    typiclust,
    typiclust_by_group,
    vaal,
    variance,
    variation_ratio,
    whole_volumes,
)
from fewmasks.query.strategy import Strategy

STRATEGIES: dict[str, Strategy] = {
    method.STRATEGY.name: method.STRATEGY
    for method in (
        random,
        strided,
        whole_volumes,
        foreground_random,
        predicted_foreground_random,
        entropy,
        margin,
        least_confidence,
        variance,
        variation_ratio,
        bald,
        power_entropy,
        power_bald,
        stochastic_batches,
        clasp_pe,
        coreset,
        prob_k_center,
        suggestive,
        suggestive_hard,
        alges_img,
        alges_seg,
        badge,
        ipm,
        ipm_uncertainty,
        core_then_uncertain,
        cluster_stratified,
        typiclust,
        typiclust_by_group,
        probcover,
        core_gcn,
        vaal,
        deal,
        fused_coreset,
    )
}

ENTRY_POINTS = "fewmasks.strategies"


def load_strategies() -> dict[str, Strategy]:
    """The table and, after it, the strategies that installed distributions offer."""
    from importlib.metadata import entry_points  # slow to import, and only needed here

    table = dict(STRATEGIES)
    for entry in entry_points(group=ENTRY_POINTS):
        owner = entry.dist.name if entry.dist else entry.value
        try:
            strategy = entry.load()
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                f"{owner}: its strategy {entry.name!r} cannot be loaded ({error}); "
                f"repair or uninstall {owner}"
            ) from error
        _refuse_misfit(owner, strategy, table)
        table[strategy.name] = strategy
    return table


def _refuse_misfit(owner: str, strategy: object, table: dict[str, Strategy]) -> None:
    if not isinstance(strategy, Strategy):
        raise ConfigError(
            f"{owner}: its entry point gives a {type(strategy).__name__}, not a Strategy; "
            f"repair or uninstall {owner}"
        )
    if strategy.name in table:
        raise ConfigError(
            f"{owner}: the strategy name {strategy.name!r} is taken; rename it or uninstall {owner}"
        )
