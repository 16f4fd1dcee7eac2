"""Very many photographs on Apache Beam: on one machine, Flink, Spark or Dataflow."""

try:
    import apache_beam  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError(f"{error}. Install it with: pip install 'tfstyle[beam]'") from error

from tfstyle.batch.flow import pipeline, report

__all__ = ["pipeline", "report"]
