"""The environment report, on request: after an installation, or to see free memory change."""

from mednextseg.machine import environment_report
from mednextseg.worker.operations import Context, Operation, required


def report_environment(parameters: dict, context: Context) -> dict:
    """{} -> the report that the hello carries, made anew."""
    required(parameters, [])
    return environment_report()


OPERATIONS: dict[str, Operation] = {"environment": report_environment}
