"""The report's section on a policy: its figures beside a random player's, and a video."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from heist_encoders.evaluation.markup import number, text

_TYPES = {".mp4": "video/mp4", ".gif": "image/gif"}


def policy_section(policy: Mapping[str, Any] | None) -> str:
    """What a policy on one of the encoders achieves.

    Args:
        policy: ``name``, ``encoder``, ``class`` (a sentence), ``policy`` and ``random`` (``Evaluation.to_dict`` of
            each), and ``video`` (``path``, ``level_seed``, ``num_keys``, ``length``) or None.
    """
    if not policy:
        return ""
    figures, chance = policy["policy"], policy["random"]
    rows = [_row("all levels", figures, chance)]
    for keys, part in figures["by_num_keys"].items():
        name = f"{keys} key{'' if keys == '1' else 's'}"
        rows.append(_row(name, part, chance["by_num_keys"].get(keys)))
    how = "its most probable actions" if figures.get("greedy") else "sampled actions"
    return f"""<section id="policy"><h2>A policy that sees only the encoding</h2>
<p><b>{text(policy["class"])}</b> Policy <code>{text(policy["name"])}</code> on encodings of
<b>{text(policy["encoder"])}</b>, by {how}, one whole episode in each of {figures["num_levels"]} levels that nothing was
trained on, from their true starts. A solved level gives 10. In brackets the 95% interval of the mean over episodes.</p>
<div class="wide"><table><thead><tr><th>levels</th><th>number</th><th>return</th><th>success</th><th>steps</th>
<th>return of a<br>random player</th><th>its<br>success</th></tr></thead><tbody>{"".join(rows)}</tbody></table></div>
{_video(policy.get("video"))}</section>"""


def _row(name: str, part: Mapping[str, Any], chance: Mapping[str, Any] | None) -> str:
    cells = [str(part["num_levels"]), _mean(part), _share(part), number(part["length_mean"], ",.0f")]
    cells += ["–", "–"] if chance is None else [_mean(chance), _share(chance)]
    return f'<tr><td class="name">{text(name)}</td>' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _mean(part: Mapping[str, Any]) -> str:
    low, high = part["return_interval"]
    interval = "" if part["num_levels"] < 2 else f" <small>({number(low, '.2f')} to {number(high, '.2f')})</small>"
    return f"<b>{number(part['return_mean'], '.2f')}</b>{interval}"


def _share(part: Mapping[str, Any]) -> str:
    return f"{part['success_rate']:.1%}"


def _video(video: Mapping[str, Any] | None) -> str:
    if video is None:
        return "<p>No video: it solved none of the levels within the steps of a short film.</p>"
    path = Path(video["path"])
    kind = _TYPES[path.suffix]
    data = f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
    words = (
        f"Level {video['level_seed']} with {video['num_keys']} keys, solved in {video['length']} steps: the frame, and "
        "what the autoencoder's decoder makes of the encoding that the policy acts on."
    )
    if kind == "image/gif":
        film = f'<img src="{data}" alt="{text(words)}" style="max-width:100%">'
    else:
        film = f'<video src="{data}" controls autoplay muted loop playsinline style="max-width:100%"></video>'
    return f"<figure>{film}<figcaption>{text(words)}</figcaption></figure>"
