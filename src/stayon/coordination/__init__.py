"""Services on several computers: locks, leader election, registration, and triggers from outside.

Floor: above ``ports``, below ``supervisor``; it does not know its siblings ``runtime`` and ``platforms``. Still empty.
"""
