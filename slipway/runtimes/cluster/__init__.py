"""What stands around deployments on a Kubernetes cluster: namespaces, gateway, edge, rights, shared cards.

Belongs here: rendering it, and judging it where it has a status. Does not: deployments (a runtime's room).
"""
