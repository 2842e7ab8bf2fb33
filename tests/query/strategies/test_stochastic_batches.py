import numpy as np

from fewmasks.query.strategies.stochastic_batches import stochastic_batches


def test_the_best_of_many_random_batches():
    uncertainty = np.random.default_rng(0).random(203)
    for seed in range(10):
        picks = stochastic_batches(np.arange(203), uncertainty, 10, np.random.default_rng(seed))
        dealt = np.random.default_rng(seed).permutation(203)[:200].reshape(20, 10)
        means = [uncertainty[batch].mean() for batch in dealt]
        assert uncertainty[picks].mean() == max(means)


def test_one_batch_is_the_whole_pool():
    picks = stochastic_batches(np.arange(4), np.ones(4), 4, np.random.default_rng(0))
    assert sorted(picks.tolist()) == [0, 1, 2, 3]
