"""Controls: how far a run's verdict can be trusted (METHOD 5).

In: the run's `Pairs` and its crosscoder.
Out: `results.controls.Controls`: what is found between the baseline and itself seen through a
random map (each one is a false positive), and which planted signals are found (the limit of
detection).
"""
