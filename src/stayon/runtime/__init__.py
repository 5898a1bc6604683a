"""One process: what a service declares, and the host that gives it a life. It gets its computer handed in, as ports.

Floor: above ``ports``, below ``supervisor``; it does not know its siblings ``platforms`` and ``coordination``.
"""
