"""A coverage-guided fuzzer of the reader: ``python -m tests.fuzz`` (needs atheris, the extra ``fuzz``).

``python -m tests.fuzz -max_total_time=3600`` runs for an hour from the files in ``corpus``; what it finds worth keeping
goes to ``.cache/fuzz``, and an input that breaks a promise to ``crash-…`` there. All options are libFuzzer's. The last
lines tell the number of executions: ``stat::number_of_executed_units``.
"""
