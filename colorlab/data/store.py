"""The scenes' import of `cache`, under its former name, until their modules move too."""

from colorlab.data.cache import alone, cache_dir, hash_pixels, identity

__all__ = ["alone", "cache_dir", "hash_pixels", "identity"]
