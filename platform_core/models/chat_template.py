"""How conversations are written for a model that has no chat template, and whether one that a person gives can be read.

Templates are programs: here they are only parsed; runners render them in transformers' sandbox, with limits.
"""

from __future__ import annotations

import re

from platform_core.errors import Problem

LONGEST = 100_000
READY = {
    "chatml": """\
{%- for message in messages -%}
    {{- '<|im_start|>' + message['role'] + '\\n' + message['content'] -}}
    {{- eos_token if message['role'] == 'assistant' else '<|im_end|>' -}}
    {{- '\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' -}}{% endif -%}
""",
    "llama3": """\
{{- bos_token if bos_token else '' -}}
{%- for message in messages -%}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim -}}
    {{- eos_token if message['role'] == 'assistant' else '<|eot_id|>' -}}
{%- endfor -%}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}{% endif -%}
""",
    "plain": """\
{%- for message in messages -%}
    {{- message['role'] | capitalize + ': ' + message['content'] | trim -}}
    {{- eos_token if message['role'] == 'assistant' else '' -}}
    {{- '\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt %}{{- 'Assistant:' -}}{% endif -%}
""",
}
"""Templates by name. The assistant's turn ends with the tokenizer's end-of-text token, so that the model stops."""
ENDS = {"chatml": "<|im_end|>", "llama3": "<|eot_id|>"}
"""What ends every turn of a template: a tokenizer that has it as one token takes it as its end-of-text token."""
GENERATION = re.compile(r"\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}")


def check_template(template: str) -> None:
    """Raise Problem when a text is no Jinja template; nothing of it is run."""
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    if len(template) > LONGEST:
        raise Problem(
            "The chat template has {n} characters; at most {most} are read.",
            fields=("chat_template_text",),
            n=len(template),
            most=LONGEST,
        )
    known = GENERATION.sub(lambda m: "{%" + m[1] + (" endif " if m[2] else " if true ") + m[3] + "%}", template)
    try:
        ImmutableSandboxedEnvironment(extensions=["jinja2.ext.loopcontrols"]).parse(known)
    except jinja2.TemplateSyntaxError as error:
        raise Problem(
            "Line {line} of the chat template can't be read: {reason}",
            fields=("chat_template_text",),
            line=error.lineno,
            reason=error.message or "",
        ) from error
    except RecursionError as error:
        raise Problem("The chat template is nested too deeply.", fields=("chat_template_text",)) from error
    if "messages" not in template:
        raise Problem(
            "The chat template never mentions `messages`: it would write the same text for every conversation.",
            fields=("chat_template_text",),
        )
