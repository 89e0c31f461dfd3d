"""Configuration: the schema behind `configs/run.yaml`, and checks that go beyond types."""

from search.config.schema import CONFIGS, Config, ConfigError

__all__ = ["CONFIGS", "Config", "ConfigError"]
