"""Published models: upgrades that somebody made, and accepted differences after retraining.

python -m benchmarks.real                   the gate on each pair
python -m benchmarks.real.recognition       accepted differences in other runs
python -m benchmarks.real.token_alignment   how much of a text two tokenizers read in step
python -m benchmarks.real.page              docs/evidence/{real-upgrades,recognition}.md
"""
