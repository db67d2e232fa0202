"""`lathe jobs star|unstar|tag|untag|note|archive|unarchive|group`: mark jobs, to find them again."""

from __future__ import annotations

import sys
from functools import partial

import click

from app.commands.options import each, verb, workspace
from app.commands.printing import plain, show, show_json
from platform_core.jobs import organize, service

IDS = click.argument("ids", nargs=-1, required=True, metavar="ID...")


@click.command("star")
@IDS
@verb
def star(ids: tuple[str, ...], as_json: bool) -> int:
    """Put a star on jobs."""
    return each(ids, organize.star, "{name} has a star. Undo: lathe jobs unstar {id}", as_json)


@click.command("unstar")
@IDS
@verb
def unstar(ids: tuple[str, ...], as_json: bool) -> int:
    """Take the star off jobs."""
    return each(ids, partial(organize.star, starred=False), "{name} has no star. Undo: lathe jobs star {id}", as_json)


@click.command("tag")
@click.argument("tag", metavar="TAG[,TAG...]")
@IDS
@verb
def tag(tag: str, ids: tuple[str, ...], as_json: bool) -> int:
    """Add tags to jobs, such as `lathe jobs tag baseline,lr-sweep ID`."""
    return each(ids, partial(organize.tag, add=tag.split(",")), "{name} ({id}) has the tags: {tags}", as_json)


@click.command("untag")
@click.argument("tag", metavar="TAG[,TAG...]")
@IDS
@verb
def untag(tag: str, ids: tuple[str, ...], as_json: bool) -> int:
    """Remove tags from jobs."""
    without = partial(organize.tag, add=(), remove=tag.split(","))
    return each(ids, without, "{name} ({id}) has the tags: {tags}", as_json)


@click.command("note")
@click.argument("job_id", metavar="ID")
@click.argument("text", required=False)
@verb
def note(job_id: str, text: str | None, as_json: bool) -> int:
    """Write a job's note; `-` reads it from standard input, "" removes it, without TEXT it is shown."""
    if text is None:
        job = service.get(workspace(), job_id)
        show_json({"note": job.note}) if as_json else show(plain(job.note or "", keep="\n\t"))
        return 0
    said = sys.stdin.read() if text == "-" else text
    return each((job_id,), partial(organize.write_note, note=said), "The note of {name} ({id}) is written.", as_json)


@click.command("archive")
@IDS
@verb
def archive(ids: tuple[str, ...], as_json: bool) -> int:
    """Take jobs out of the lists; nothing is deleted, and `lathe jobs list --archived` shows them."""
    return each(ids, organize.archive, "{name} is in the archive. Undo: lathe jobs unarchive {id}", as_json)


@click.command("unarchive")
@IDS
@verb
def unarchive(ids: tuple[str, ...], as_json: bool) -> int:
    """Bring jobs back into the lists."""
    return each(ids, partial(organize.archive, archived=False), "{name} ({id}) is in the lists again.", as_json)


@click.command("group")
@click.argument("group", metavar="NAME")
@IDS
@verb
def group(group: str, ids: tuple[str, ...], as_json: bool) -> int:
    """Put jobs into a group; "" takes them out of theirs."""
    return each(ids, partial(organize.set_group, group=group), "The group of {name} ({id}) is set.", as_json)


commands = (star, unstar, tag, untag, note, archive, unarchive, group)
