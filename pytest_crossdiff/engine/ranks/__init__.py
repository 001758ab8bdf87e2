"""One run on several processes, started by `torchrun` or any other launcher of torch.distributed.

In: the settings of a run, the same on every rank.
Out: the artefacts of the run in the cache, under the keys that one process gives them.

The ranks share the cache folder. What they exchange is small: names of finished parts and facts
about the run, over gloo, on GPUs too.
"""
