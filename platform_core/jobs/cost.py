"""What a job has cost so far: the operator's prices times the time that its attempts ran."""

from __future__ import annotations

from platform_core.jobs.store import Job
from platform_core.options.spec import Options


def hour_price(job: Job, options: Options) -> float | None:
    """What an hour of the job costs: its GPUs and its cores; None while a part of it has no price.

    A job on GPUs is priced by its GPUs alone when cores have no price.
    """
    cores, gpus = options.core_hour_price, options.gpu_hour_price
    if (gpus if job.gpus else cores) is None:
        return None
    return job.gpus * (gpus or 0.0) + job.cpu_slots * (cores or 0.0)


def cost(job: Job, seconds: float, options: Options) -> float | None:
    """What `seconds` of the job cost in the options' currency; None without a price."""
    price = hour_price(job, options)
    return None if price is None else price * seconds / 3600
