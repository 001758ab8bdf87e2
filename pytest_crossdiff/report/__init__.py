"""Reports a result and its verdict: terminal, page, Markdown, JSON, JUnit, annotations.

In: `document.Report`, which holds everything that is reported of a pair.
Out: text.  Every form is drawn from the report, so all of them say the same.
"""
