"""The report about this machine and the workspace that `lathe doctor` and the page show."""

from __future__ import annotations

from pathlib import Path

from platform_core.clock import monotonic
from platform_core.environment import machine, software, workspace
from platform_core.environment.checks import Check, Disk, Report, Section, all_looked_at, looked_at, value
from platform_core.errors import text
from platform_core.workspace.page import PORT


def report(home: Path, port: int = PORT) -> Report:
    """Look at everything, in well under a second; never raises and changes nothing."""
    began = monotonic()
    sections = (
        Section(
            text("Software"),
            (
                Check(text("lathe"), value(software.lathe_version())),
                looked_at(text("Python"), software.python),
                looked_at(text("System"), software.system),
                *all_looked_at(text("Packages"), software.packages),
            ),
        ),
        Section(
            text("Machine"),
            (
                looked_at(text("Processor"), machine.processor),
                looked_at(text("Memory"), machine.memory),
                *all_looked_at(text("GPU"), machine.graphics),
                looked_at(text("Disk"), lambda: machine.disk_space(home)),
                looked_at(text("Clock"), lambda: machine.clock(home)),
            ),
        ),
        Section(
            text("Workspace"),
            (
                looked_at(text("Folder"), lambda: workspace.folder(home)),
                looked_at(text("File system"), lambda: machine.file_system(home)),
                looked_at(text("Database"), lambda: workspace.database(home)),
                looked_at(text("Supervisor"), lambda: supervisor(home)),
                looked_at(text("Port {number}", number=port), lambda: workspace.port(port)),
            ),
        ),
        Section(text("Programs"), tuple(all_looked_at(text("Programs"), software.programs))),
    )
    return Report(sections, _disk(home), round(monotonic() - began, 3))


def supervisor(home: Path) -> Check:
    """Whether the process that runs jobs is alive; it is started with the first job."""
    from platform_core.jobs import supervision

    alive = supervision.is_alive(home)
    return Check(
        text("Supervisor"), text("alive") if alive else text("not running; the next job, or the page, starts it")
    )


def _disk(home: Path) -> Disk | None:
    try:
        return machine.disk(home)
    except OSError:
        return None
