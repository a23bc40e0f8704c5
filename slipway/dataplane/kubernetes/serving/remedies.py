"""What a person can do about a revision that does not serve: the cause, as it was seen -> one sentence.

Belongs here: the table: words of kubelets, registries and schedulers, and a sentence for a person. Nothing
else hangs on it. Pure. Does not: finding the cause (a runtime's judge, explain.py), what the API server
refuses at once (slipway.dataplane.kubernetes.api.refusals).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# The first that fits is told, so what is special comes before what is general.
_REMEDIES: tuple[tuple[str, str], ...] = (
    # Before all that containers were seen to do: it is of the time before.
    (
        r"does not answer any more",
        "Bring the node back, or remove it (`kubectl delete node`): its pods are then made elsewhere.",
    ),
    (
        r"InvalidImageName",
        "Correct the engine's image in the catalog: it is no image reference.",
    ),
    (
        r"Err(Image|)Pull.*(unauthorized|denied|authorization|basic auth|forbidden|\b40[13]\b)",
        "The registry does not let the node in: give the Secret in `pull_secrets` (the cluster's settings) "
        "an account that may pull this image, or name one.",
    ),
    (
        r"Err(Image|)Pull.*(not ?found|manifest unknown)",
        "The registry has no such image: correct the engine's image or digest in the catalog, or push it.",
    ),
    (
        r"Err(Image|)Pull.*(x509:|certificate)",
        "The node does not trust the registry's certificate: give the container runtime of the nodes its CA "
        "(containerd: certs.d/<registry>/hosts.toml), or mirror the image to a registry that they trust.",
    ),
    (
        r"Err(Image|)Pull|ImagePullBackOff|Pulling image",
        "The node cannot fetch the image: see that it reaches the registry (name, network), or mirror the "
        "image to one that it reaches.",
    ),
    (
        r"OOMKilled",
        "Raise resources.limits.memory, or let the engine need less (context length, requests at a time).",
    ),
    (
        r"CreateContainerConfigError|CreateContainerError",
        "Make the Secret or ConfigMap that it names in the deployment's namespace, or correct its name.",
    ),
    (
        r"was lost: its node",
        "The container is started again by itself. If that goes on, look at the node: its log, its memory.",
    ),
    (
        r"ended (once|\d+ times)",
        "The last lines of its output say why: correct args, env or the image of the deployment.",
    ),
    (
        r"exceeded quota",
        "Remove what is not needed in the namespace, ask for less, or raise isolation.quota.",
    ),
    (
        r"pods cannot be made",
        "What forbids the pods is named above: change the deployment, or the policy of its namespace.",
    ),
    (
        r"not scheduled",
        "Add a node that has what is asked for, free some, or ask for less: resources, node_selector, "
        "tolerations.",
    ),
    (
        r"[Pp]robe failed|failed .* probe",
        "It runs and is not ready: if it only needs longer, raise rollout.deadline_s; else its last lines "
        "say what it waits for.",
    ),
)
_LONGER = "If it only needs longer, raise rollout.deadline_s."


def remedy(cause: str, lines: Sequence[str] = (), *, is_late: bool = False) -> str:
    """What to do, by the cause and then by the lines that explain it; empty where nobody knows.

    `is_late`: nothing has failed, and the deadline has passed.
    """
    for text in (cause, *lines):
        for pattern, advice in _REMEDIES:
            if re.search(pattern, text, re.DOTALL):
                return advice
    return _LONGER if is_late else ""
