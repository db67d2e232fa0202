"""What a person chose to see, kept in the page's address, so that a link shows the same; defaults stay out of it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st


def chosen(name: str, options: Sequence[str], default: str) -> str:
    """What the widget with the key `name` shall show: what the address says when it has changed, else what it shows.

    Call it before the widget, and give the widget `keep` as its callback. Anything but `options` counts as the default.
    """
    asked, seen = st.query_params.get(name), f"address.{name}"
    if asked != st.session_state.get(seen) or st.session_state.get(name) not in options:
        st.session_state[name] = asked if asked in options else default
    if asked is None or asked in options:  # an option that comes only later, such as a metric, is still waited for
        st.session_state[seen] = asked
    return str(st.session_state[name])


def keep(name: str, default: str) -> None:
    """Write what a person has just chosen into the address."""
    value = str(st.session_state[name])
    if value != default:
        st.query_params[name] = value
    else:
        st.query_params.pop(name, None)
    st.session_state[f"address.{name}"] = st.query_params.get(name)


def one_of(label: str, name: str, titles: dict[str, str]) -> str:
    """A choice of one, the first by default, kept in the address as `name`."""
    default = next(iter(titles))
    shown = chosen(name, list(titles), default)
    picked = st.segmented_control(
        label, list(titles), required=True, key=name, default=shown, format_func=lambda option: titles[option],
        on_change=keep, args=(name, default),
    )  # fmt: skip
    return str(picked)


def others(*without: str) -> dict[str, str]:
    """All of the address but some parts, to go on with it elsewhere."""
    return {name: value for name, value in st.query_params.items() if name not in without}


def typed(name: str) -> str:
    """What the text field with the key `name` shall hold, as `chosen`; give the field `keep` with the default ""."""
    asked, seen = st.query_params.get(name, ""), f"address.{name}"
    if name not in st.session_state or asked != (st.session_state.get(seen) or ""):
        st.session_state[name] = asked
    st.session_state[seen] = asked
    return str(st.session_state[name])


def chosen_many(name: str, options: Sequence[str], default: Sequence[str] = ()) -> list[str]:
    """What the widget of many choices with the key `name` shall show, as `chosen`; give the widget `keep_many`."""
    asked, seen = st.query_params.get(name), f"address.{name}"
    if name not in st.session_state or asked != st.session_state.get(seen):
        st.session_state[name] = list(default) if asked is None else asked.split(",")
    st.session_state[name] = [option for option in st.session_state[name] if option in options]
    st.session_state[seen] = asked
    return list(st.session_state[name])


def keep_many(name: str, default: Sequence[str] = ()) -> None:
    """Write what a person has just chosen into the address; "none" where the default is taken away."""
    value = list(st.session_state[name])
    if sorted(value) != sorted(default):
        st.query_params[name] = ",".join(value) or "none"
    else:
        st.query_params.pop(name, None)
    st.session_state[f"address.{name}"] = st.query_params.get(name)
