"""One study by ltm and by what a researcher would use instead, each with its driver killed once: :mod:`benchmarks.orchestration.__main__`."""
