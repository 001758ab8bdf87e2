"""Inside the models: do three further criteria tell what was planted from what is only encoded
differently between models that were trained separately (METHOD 7)?

Readability by the references against readability by the baseline; the projected covariance measure;
ablation against shared features of equal strength and density.  First in worlds whose answer is
known by construction (`toy`), then on the development half of `benchmarks.population`, then, with
the rule frozen in a commit, on its reporting half.
"""
