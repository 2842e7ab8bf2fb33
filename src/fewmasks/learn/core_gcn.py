"""CoreGCN: features in which labelled and unlabelled items come apart."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Bool, Float

from fewmasks.learn.model import seeded
from fewmasks.nn.graph import GraphNetwork, labelled_loss, similarity_graph

EPOCHS = 200
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 5e-4


def graph_embedding(
    embedding: Float[np.ndarray, "n d"],
    is_labelled: Bool[np.ndarray, " n"],
    seed: int,
    device: torch.device,
    report: Callable[[int, int], None] | None = None,
) -> Float[np.ndarray, "n h"]:
    """Hidden features of a graph network trained to tell labelled from unlabelled items.

    Row for row those of `embedding`, in whatever order; another order gives the same features in
    that order. Where all items are on one side there is nothing to tell apart, and the features
    are those of the untrained network: a random projection of each item and its neighbours.
    """
    with seeded(device, seed):
        features = torch.from_numpy(np.array(embedding, dtype=np.float32)).to(device)
        network = GraphNetwork(features.shape[1]).to(device)
        unit = torch.nn.functional.normalize(features, dim=1)
        graph = similarity_graph(unit)
        gathered = graph @ unit
        side = torch.from_numpy(is_labelled).to(device)
        if side.any() and not side.all():
            _train(network, graph, gathered, side, report)
        with torch.inference_mode():
            return network.eval().hidden(gathered).cpu().numpy()


def _train(
    network: GraphNetwork,
    graph: Float[torch.Tensor, "n n"],
    gathered: Float[torch.Tensor, "n d"],
    is_labelled: Bool[torch.Tensor, " n"],
    report: Callable[[int, int], None] | None,
) -> None:
    optimiser = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    network.train()
    for epoch in range(EPOCHS):
        loss = labelled_loss(network(graph, gathered), is_labelled)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        if report is not None:
            report(epoch + 1, EPOCHS)
