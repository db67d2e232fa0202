"""Where the parameters of a model are, as a map: area is their number, colour the role of the weights."""

from __future__ import annotations

import math
import re
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from app.sizes import count_text
from app.words import _

LAYER = "#6b7280"
COLOURS = {"attention": "#2b88bd", "MLP": "#c65a1e", "norm": "#8a8f98", "embedding": "#00896a"}
BLOCK = re.compile(r"^(?:model\.|transformer\.)?(?:layers|h|blocks)\.(\d+)\.(.+)$")


def parameter_map(tensors: dict[str, dict[str, Any]]) -> None:
    """Where the parameters are, as a map: area is the number of parameters."""
    if not tensors:
        st.caption(_("No weights here."))
        return
    total = sum(size_of(t) for t in tensors.values())
    ids, labels, parents, values = ["all"], [_("all")], [""], [total]
    sums: dict[tuple[str, ...], int] = {}
    for name, tensor in tensors.items():
        path = place_of(name)
        for depth in range(1, len(path) + 1):
            sums[path[:depth]] = sums.get(path[:depth], 0) + size_of(tensor)
    for path, size in sums.items():
        ids.append("/".join(path))
        labels.append(path[-1])
        parents.append("/".join(path[:-1]) or "all")
        values.append(size)
    colours = [LAYER, *(colour_of(path) for path in sums)]
    texts = [f"{count_text(v)} · {v / total:.1%}" for v in values]
    chart = go.Figure(
        go.Treemap(
            ids=ids, labels=labels, parents=parents, values=values, text=texts, branchvalues="total", maxdepth=3,
            textinfo="label+text", hovertemplate="%{label}<br>%{text}<extra></extra>",
            marker={"line": {"width": 1}, "colors": colours},
        )
    )  # fmt: skip
    chart.update_layout(margin={"l": 0, "r": 0, "t": 4, "b": 0}, height=340)
    st.plotly_chart(chart, key="shares", config={"displayModeBar": False})
    st.caption(_("Area is the number of parameters; press a part to look inside."))


def place_of(name: str) -> tuple[str, ...]:
    """A tensor's place in the map: ("layer 3", "attention", "q_proj")."""
    found = BLOCK.match(name)
    if found is None:
        return (re.sub(r"^model\.|\.weight$", "", name),)
    part = found[2].removesuffix(".weight")
    group = "attention" if "attn" in part or "attention" in part else "MLP" if "mlp" in part else "norm"
    return (_("layer {n}", n=found[1]), group, part.split(".", 1)[-1] if group != "norm" else part)


def colour_of(path: tuple[str, ...]) -> str:
    """One colour for each role of weights, the same in every layer and on light and dark."""
    if len(path) > 1:
        return COLOURS[path[1]]
    return COLOURS["embedding"] if "embed" in path[0] or "head" in path[0] else LAYER


def size_of(tensor: dict[str, Any]) -> int:
    return math.prod(tensor["shape"])
