"""Environment: what this machine and the workspace have, what is missing, what to do about it."""

from __future__ import annotations

import streamlit as st

from app.environments_panel import environments_panel
from app.format import share
from app.page import guarded, header, plain, workspace
from app.ring import Part, ring
from app.sizes import bytes_text
from app.table import Column, Row, table, words
from app.words import _, say
from platform_core.environment.checks import SIGNS, Check, Disk, Report, Section
from platform_core.environment.service import report
from platform_core.environment.software import installed, is_pinned, lathe_version, pins
from platform_core.files import folder_size

MARKS = {"ok": ("check_circle", "green"), "warning": ("warning", "orange"), "problem": ("error", "red")}


def verdict(made: Report) -> None:
    """The answer in one line, with what to do first."""
    wrong = [c for s in made.sections for c in s.checks if c.status == "problem"]
    loose = [c for s in made.sections for c in s.checks if c.status == "warning"]
    if wrong:
        said = _("{n} things keep lathe from working; the hints say what to do.", n=len(wrong))
        st.error(said, icon=":material/error:")
    elif loose:
        st.warning(_("It works. {n} things could be better.", n=len(loose)), icon=":material/warning:")
    else:
        st.success(_("All is well."), icon=":material/check_circle:")


def section(part: Section, name: str) -> None:
    """The checks of one section, with hints for what is not well."""
    st.subheader(plain(say(part.name)), anchor=False)
    columns = [
        Column("state", "", "state", "state mark"),
        Column("name", _("What"), kind="fine what"),
        Column("found", _("Found"), kind="long"),
    ]
    table(columns, [Row(str(at), row(check)) for at, check in enumerate(part.checks)], key=name)


def row(check: Check) -> dict[str, dict[str, str] | None]:
    """One check; what is needed and how to mend it stand below what was found."""
    icon, colour = MARKS[check.status]
    notes = []
    if check.needed is not None and check.status != "ok":
        notes.append(_("needed: {needed}", needed=say(check.needed)))
    if check.hint is not None:
        notes.append(say(check.hint))
    status = {"ok": _("ok"), "warning": _("look"), "problem": _("problem")}[check.status]
    return {
        "state": {"icon": icon, "colour": colour, "word": status},
        "name": words(say(check.name)),
        "found": words(say(check.found), " · ".join(notes)),
    }


def disk(found: Disk) -> None:
    """The workspace's disk as a ring: what the workspace holds, what others do, what is free."""
    place = workspace()
    deleted = folder_size(place.trash_of_jobs)
    sizes = [
        (_("Jobs"), folder_size(place.jobs) - deleted),
        (_("Models"), folder_size(place.models)),
        (_("Datasets"), folder_size(place.datasets)),
        (_("Trash"), folder_size(place.trash) + deleted),
    ]
    other = max(found.total - found.free - sum(size for _name, size in sizes), 0)
    parts = [Part(name, size / found.total, bytes_text(size)) for name, size in sizes]
    parts.append(Part(_("Everything else"), other / found.total, bytes_text(other), grey=0.5))
    parts.append(Part(_("Free"), found.free / found.total, bytes_text(found.free), grey=0.13))
    st.subheader(_("Disk"), anchor=False)
    ring(parts, bytes_text(found.free), _("free of {total}", total=bytes_text(found.total)), key="disk")
    st.caption(_("{share} of the disk is in use.", share=share(1 - found.free / found.total)))


def versions() -> None:
    """Every pinned package against what is installed."""
    box = st.expander(_("Versions of all packages"), icon=":material/deployed_code:", key="versions", on_change="rerun")
    with box:
        if not box.open:
            return
        columns = [
            Column("state", "", "state", "state mark"),
            Column("name", _("Package"), kind="fine"),
            Column("found", _("Installed"), kind="number"),
            Column("wanted", _("Pinned"), kind="number"),
        ]
        table(columns, [package_row(name, wanted) for name, wanted in sorted(pins().items())], key="packages")


def package_row(name: str, wanted: str) -> Row:
    """One package, as it is and as it should be."""
    found = installed(name)
    same = is_pinned(found, wanted)
    icon, colour = MARKS["ok" if same else "warning" if found else "problem"]
    word = _("ok") if same else _("other version") if found else _("missing")
    return Row(
        name,
        {
            "state": {"icon": icon, "colour": colour, "word": word},
            "name": words(name),
            "found": words(found),
            "wanted": words(wanted),
        },
    )


def as_text(made: Report) -> str:
    """The report as `lathe doctor` prints it, in English, to be sent to somebody who helps."""
    lines = [f"lathe {lathe_version()}"]
    for part in made.sections:
        lines.append(str(part.name))
        for check in part.checks:
            lines.append(f"  {SIGNS[check.status]} {check.name}: {check.found}")
            lines += [f"      {check.hint}"] if check.hint is not None else []
    return "\n".join(lines)


with header(_("Environment"), _("What this machine and the workspace have. In a terminal: `lathe doctor`.")):
    st.button(_("Look again"), icon=":material/refresh:", key="look")
looked = report(workspace().home)
verdict(looked)
left, right = st.columns([2, 1], gap="large")
with left:
    for at, part in enumerate(looked.sections):
        with guarded():
            section(part, f"section.{at}")
    with guarded():
        environments_panel()
with right:
    if looked.disk is not None:
        with guarded():
            disk(looked.disk)
    st.subheader(_("For somebody who helps"), anchor=False)
    st.code(as_text(looked), language=None, height=260, wrap_lines=True)
with guarded():
    versions()
