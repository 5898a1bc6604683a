"""The classic daemon: a service on Unix that nobody keeps, cut loose from the terminal that started it.

What a running one needs is in ``starter`` and ``pid_file``; the rest is for whoever starts it.
"""
