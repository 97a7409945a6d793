"""`python -m tests.benchmarks.peers PACKAGE STORE`: workers of a peer, until a signal."""

import sys
from importlib import import_module

_, package, store = sys.argv
import_module(f"{__package__}.{package}_peer").work(store)
