"""QGN (arXiv 2603.17314): a proposal-free query-guided network for GMNER."""

from models.qgn.model import QGN

__all__ = ["QGN"]
