"""Many processes: starts, watches and restarts services by their rules, and is itself a service.

Floor: above ``runtime``, ``platforms`` and ``coordination``; below ``console`` and ``build``. Still empty.
"""
