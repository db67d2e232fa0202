"""Models: the library of models, adapters and tokenizers, what each is made of and where it came from."""

from __future__ import annotations

import re
from typing import Any

import streamlit as st

from app.demo_panel import begin
from app.format import ago
from app.kind_buttons import kind_buttons
from app.page import Door, card, empty_state, fact_grid, go, header, link, plain, trouble, workspace
from app.parameter_map import parameter_map, size_of
from app.sizes import bytes_text, count_text
from app.spec_text import to_yaml
from app.words import _
from platform_core.algorithms.registry import algorithms
from platform_core.clock import now
from platform_core.errors import Problem
from platform_core.files import read_json
from platform_core.jobs.spec import setting_of
from platform_core.models.service import Kind, ModelInfo, list_models, read_headers
from platform_core.models.vocabulary import vocabulary_size

CARDS = 24
MOST_FILES = 200
ICONS: dict[Kind, str] = {
    "model": "deployed_code",
    "reward_model": "grade",
    "adapter": "extension",
    "tokenizer": "token",
}
BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "F8_E4M3": 1}
TYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "F8_E4M3": "float8"}


def kind_word(kind: Kind) -> str:
    return {
        "model": _("Model"),
        "reward_model": _("Reward model"),
        "adapter": _("Adapter"),
        "tokenizer": _("Tokenizer"),
    }[kind]


def listing() -> None:
    """The library as cards, newest first."""
    with header(_("Models"), _("What jobs have made and what lies in the workspace's `models` folder.")):
        if st.button(_("Pretrain a model"), icon=":material/add:", key="new-model"):
            go("new-job", kind="pretrain")
    library = list_models(workspace())
    if not library:
        empty_state(
            _("No models yet"),
            _("Every finished training leaves one here. Folders in the Hugging Face format in `models` show up, too."),
            [
                Door(_("Pretrain a small one"), _("From scratch on your texts: minutes on a CPU."), "menu_book",
                     page="new-job", query=(("kind", "pretrain"),), primary=True),
                Door(_("Run the demo"), _("Three models in two minutes: pretrained, taught by examples, rewarded."),
                     "play_circle", do=begin),
            ],
        )  # fmt: skip
        return
    with st.container(horizontal=True, vertical_alignment="bottom", key="models-filter"):
        kinds = [k for k in ICONS if any(m.kind == k for m in library)]
        wanted = st.text_input(_("Find"), type="search", placeholder=_("Find by name"), label_visibility="collapsed",
                               key="models.find", live=True, width=320) if len(library) > 6 else ""  # fmt: skip
        kind = st.segmented_control(
            _("Kind"), kinds, format_func=kind_word, key="models.kind", label_visibility="collapsed"
        ) if len(kinds) > 1 else None  # fmt: skip
    shown = [m for m in library if wanted.lower() in m.name.lower() and kind in (None, m.kind)]
    pages = -(-len(shown) // CARDS)
    page = st.pagination(pages, key="models.page") if pages > 1 else 1
    with st.grid(3, min_column_width=280):
        for model in shown[(page - 1) * CARDS : page * CARDS]:
            entry(model)
    if not shown:
        st.caption(_("Nothing of that name."))


def entry(model: ModelInfo) -> None:
    """One model as a card that leads to its page."""
    with card(f"model-{model.ref.replace(':', '-')}"):
        icon = f":material/{ICONS[model.kind]}:"
        if st.button(plain(model.name), icon=icon, type="tertiary", key=f"open.{model.ref}"):
            go("models", ref=model.ref)
        st.caption(plain(" · ".join(short_facts(model))))
        origin = _("from a job") if model.job_id else _("in `models`")
        st.caption(f"{bytes_text(model.size_bytes)} · {origin} · {ago(now() - model.modified)}")


def short_facts(model: ModelInfo) -> list[str]:
    """The facts that tell models apart, on one line."""
    facts = [*([kind_word(model.kind)] if model.kind == "reward_model" else []), family(model)]
    if model.parameters:
        facts += [_("{n} parameters", n=count_text(model.parameters)), types(model)]
    elif model.kind == "tokenizer" and (size := vocabulary_size(model.path)):
        facts.append(_("{n} tokens", n=count_text(size)))
    return [f for f in facts if f]


def types(model: ModelInfo) -> str:
    """The number types of the weights as PyTorch calls them."""
    return ", ".join(TYPES.get(d, d.lower()) for d in model.dtypes)


def family(model: ModelInfo) -> str:
    """The architecture without its class's ending, or the kind."""
    return re.sub(
        r"(ForCausalLM|ForSequenceClassification|Model|LMHeadModel)$", "", model.architecture or ""
    ) or kind_word(model.kind)


def asked(ref: str) -> ModelInfo | None:
    """The model that the address names; None after a word on why it is not there."""
    model = next((m for m in list_models(workspace()) if m.ref == ref), None)
    if model is None:
        trouble(
            Problem("There is no model “{ref}” in the library: it was renamed or deleted, or its job was.", ref=ref)
        )
    return model


def detail(model: ModelInfo) -> None:
    """One model: its facts, what to do with it, its tensors, files and origin."""
    line = " · ".join(dict.fromkeys([kind_word(model.kind), *short_facts(model)]))
    with header(model.name, plain(line)):
        if st.button(_("All models"), icon=":material/arrow_back:", key="all-models"):
            go("models")
    left, right = st.columns([5, 3], gap="large")
    with left:
        fact_grid(facts(model), 3)
    with right, st.container(border=True, gap="small"):
        actions(model)
    tensors = read_headers(model.path)
    titles = [_("Parameters"), _("Tensors ({n})", n=len(tensors)), _("Files"), _("Origin")]
    shares_tab, tensors_tab, files_tab, origin_tab = st.tabs(titles)
    with shares_tab:
        parameter_map(tensors)
    with tensors_tab:
        tensor_table(tensors)
    with files_tab:
        files(model)
    with origin_tab:
        lineage(model)


def facts(model: ModelInfo) -> list[tuple[str, str]]:
    """All that is known of a model without loading it."""
    vocabulary = model.vocab_size or vocabulary_size(model.path)
    found = [
        (_("Parameters"), f"{model.parameters:,}" if model.parameters else "–"),
        (_("Size"), bytes_text(model.size_bytes)),
        (_("Type"), types(model) or "–"),
        (_("Context"), _("{n} tokens", n=f"{model.context_length:,}") if model.context_length else "–"),
        (_("Vocabulary"), _("{n} tokens", n=f"{vocabulary:,}") if vocabulary else "–"),
        (_("Tokenizer"), _("yes") if model.has_tokenizer else _("none: copy its files into the folder")),
        (_("Chat template"), _("yes") if model.has_chat_template else _("none")),
        (_("Changed"), ago(now() - model.modified)),
        (_("Reference"), model.ref),
    ]
    return found if model.kind != "tokenizer" else [f for f in found if f[1] != "–" and f[0] != _("Parameters")]


def actions(model: ModelInfo) -> None:
    """The kinds of job that can start from this model."""
    st.markdown(f"##### {_('What to do with it')}")
    if model.kind == "adapter":
        st.caption(_("An adapter is used together with the model it was trained on: jobs load both."))
    if model.kind == "reward_model":
        st.caption(_("It scores answers and can't write any: the reward of a training such as GRPO."))
        if st.button(_("Train it further"), icon=":material/grade:", width="stretch", key="use.reward_model"):
            go("new-job", kind="reward_model", model=model.ref)
        return
    pick = "tokenizer" if model.kind == "tokenizer" else "model"
    takes = [k for k in algorithms().values() if any(setting_of(f).pick == pick for f in k.spec.model_fields.values())]
    takes.sort(key=lambda k: pick == "model" and "start" in k.spec.model_fields)
    first = _("Use it: {kind}") if pick == "tokenizer" else _("Fine-tune it: {kind}")
    pressed = kind_buttons([(k, first.replace("{kind}", _(k.title))) for k in takes], _("Or in another kind of job:"))
    if pressed is not None:
        going_on = pick == "model" and "start" in pressed.spec.model_fields
        go("new-job", kind=pressed.name, **{pick: model.ref}, **({"start": "model"} if going_on else {}))


def tensor_table(tensors: dict[str, dict[str, Any]]) -> None:
    """Every tensor with its shape."""
    if not tensors:
        st.caption(_("No weights here."))
        return
    st.dataframe(
        {
            _("Tensor"): list(tensors),
            _("Shape"): [" × ".join(str(n) for n in t["shape"]) for t in tensors.values()],
            _("Type"): [str(t["dtype"]) for t in tensors.values()],
            _("Parameters"): [size_of(t) for t in tensors.values()],
            _("Bytes"): [size_of(t) * BYTES.get(str(t["dtype"]), 4) for t in tensors.values()],
        },
        hide_index=True,
        key="tensors",
        column_config={
            _("Parameters"): st.column_config.NumberColumn(format="localized"),
            _("Bytes"): st.column_config.NumberColumn(format="bytes"),
        },
    )


def files(model: ModelInfo) -> None:
    """The files of the folder."""
    found = sorted((p for p in model.path.rglob("*") if p.is_file()), key=lambda p: p.name)[:MOST_FILES]
    st.dataframe(
        {
            _("File"): [str(p.relative_to(model.path)) for p in found],
            _("Size"): [p.stat().st_size for p in found],
        },
        hide_index=True,
        key="files",
        column_config={_("Size"): st.column_config.NumberColumn(format="bytes")},
    )
    st.caption(plain(model.path))


def lineage(model: ModelInfo) -> None:
    """Which job made it, from what, with which settings."""
    record = read_json(model.path / "lathe.json")
    if record is None:
        st.caption(_("This folder was put here by hand: nothing is known of how it was made."))
        return
    job, kind = str(record.get("job", "")), algorithms().get(str(record.get("kind", "")))
    if kind is not None:
        st.markdown(_("Made by a job of the kind **{kind}**.", kind=plain(_(kind.title))))
    if model.job_id:
        link("monitor", _("Open the job"), "monitoring", job=job)
    spec = record.get("spec")
    if isinstance(spec, dict):
        titles = {"model": _("Model"), "tokenizer": _("Tokenizer"), "dataset": _("Dataset")}
        for field in titles:
            if spec.get(field):
                page, key = ("datasets", "name") if field == "dataset" else ("models", "ref")
                link(page, f"{titles[field]}: {spec[field]}", "arrow_back", **{key: str(spec[field])})
        with st.expander(_("Settings"), key="settings"):
            st.code(to_yaml(str(record.get("kind", "")), "", spec), language="yaml")


shown_model = asked(st.query_params["ref"]) if "ref" in st.query_params else None
if shown_model is not None:
    detail(shown_model)
else:
    listing()
