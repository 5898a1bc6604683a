"""For tests of services: a clock that is moved by hand, and a computer that is not there.

Floor: beside ``services``, above ``app``. Nothing of it is loaded by a service.
"""
