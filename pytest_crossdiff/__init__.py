"""pytest-crossdiff: regression testing for model upgrades with crosscoders."""

__version__ = "0.1.0"
