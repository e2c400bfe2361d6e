"""``heist-encoders push``: put an encoder or a policy on Hugging Face's hub."""

from __future__ import annotations

from typing import Annotated

import typer

from heist_encoders.cli import output
from heist_encoders.cli.options import JsonFlag, check_mode, examples

EPILOG = examples(
    "heist-encoders push runs/one/artifact me/my-vae",
    "heist-encoders push grid me/grid-easy --mode easy --private",
    "heist-encoders push runs/clone me/heist-policy",
    "heist-encoders play --encoder hf://me/my-vae --out my-vae.gif",
)


def push(
    artifact: Annotated[str, typer.Argument(metavar="ARTIFACT", help="Name, folder or URI of an encoder or a policy.")],
    repository: Annotated[str, typer.Argument(metavar="USER/NAME", help="The repository; made if there is none.")],
    mode: Annotated[
        str | None,
        typer.Option(
            "--mode",
            metavar="MODE",
            help="Which packaged artifact of that name: its distribution mode. Default: memory.",
        ),
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    license: Annotated[
        str, typer.Option("--license", metavar="ID", help="The licence on the card, as hubs call it.")
    ] = "mit",
    message: Annotated[
        str | None,
        typer.Option("--message", metavar="TEXT", help="Message of the commit. Default: its name."),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Put an encoder, or a policy with its encoder, on Hugging Face's hub (extra 'hub'; log in with 'hf auth login').

    From then on hf://user/name, or hf://user/name@revision, stands for it in every command and function that takes an
    encoder or policy. Only such a name ever downloads anything.
    """
    if mode is not None:
        check_mode(mode)
    from heist_encoders.policies.hub import push_to_hub

    output.set_resume_hint("run the same again")
    uri = push_to_hub(artifact, repository, distribution_mode=mode, private=private, license=license, message=message)
    if json:
        output.print_json({"uri": uri, "repository": repository.removeprefix("hf://")})
    else:
        print(uri)
