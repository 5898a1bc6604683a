"""The web page that shows and steers services: a client of the control door like any other.

Floor: above ``supervisor``, below ``app``; it does not know its sibling ``build``. Still empty.
"""
