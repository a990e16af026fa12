"""MQSPN: Multi-grained Query-guided Set Prediction Network (Tang et al., AAAI 2025)."""
