"""The toy world: activations of two models whose differences are known.

python -m benchmarks.toy.sweep        what each kind of dictionary and probe finds
python -m benchmarks.toy.coverage     how often intervals of exclusivity cover the truth
python -m benchmarks.toy.p_values     how often its p-values are small
python -m benchmarks.toy.screening    exclusive partition against every feature
python -m benchmarks.toy.page         tables and plot of docs/evidence/toy-world.md
"""

from benchmarks.toy.world import InMemory, Toy, World, make, pairs_of, toy

__all__ = ["InMemory", "Toy", "World", "make", "pairs_of", "toy"]
