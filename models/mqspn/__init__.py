"""MQSPN: Multi-grained Query-guided Set Prediction Network (Tang et al., AAAI 2025)."""

from models.mqspn.model import MQSPN

__all__ = ["MQSPN"]
